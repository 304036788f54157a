import type { SessionLine, SessionLines } from "../ports/store/sessions.ts";
import { digestLine, formatLine, MIRROR_FRAME } from "./mirror-format.ts";

/** Sessions read and formatted in one turn of the event loop: about a millisecond. */
const ROWS_PER_TURN = 100;

/** Lines put together in one turn of the event loop. */
const LINES_PER_CHUNK = 1000;

/** A line that the file does not hold as it is now; digest "" for one that is to go. */
export interface LineChange {
  readonly key: string;
  readonly digest: string;
}

/** Another process has claimed the file: it is its only writer from now on. */
export class MirrorLost extends Error {
  override readonly name = "MirrorLost";

  constructor() {
    super("another process has claimed sessions.json");
  }
}

/** The text of the file, kept in memory line by line so that a change costs only its own lines. */
export interface MirrorText {
  /** Brings it up to date; resolves with what has changed since the last `isWritten`. Throws MirrorLost. */
  update(): Promise<readonly LineChange[]>;
  /** Says that the changes are in the file now. */
  isWritten(): void;
  isEqual(text: string): boolean;
  chunks(): Iterable<string>;
}

/** The text of what `lines` knows, as the process that has claimed the file under `owner`. */
export function createMirrorText(lines: SessionLines, owner: number): MirrorText {
  const { texts, put } = createSortedTexts();
  const stale = new Set<string>();
  let isRead = false;

  const take = ({ key, session, written }: SessionLine): LineChange | null => {
    const text = session === null ? null : formatLine(session);
    put(key, text);
    const digest = text === null ? "" : digestLine(text);
    return digest === written ? null : { key, digest };
  };
  const collect = async (entries: readonly SessionLine[], into: LineChange[]): Promise<void> => {
    for (const entry of entries) {
      const change = take(entry);
      if (change === null) continue;
      into.push(change);
      stale.add(change.key);
    }
    await nextTurn();
  };

  return {
    async update() {
      // Taken before anything is read: what changes meanwhile is stale again.
      for (;;) {
        const some = await lines.takeStale(owner, ROWS_PER_TURN);
        if (some === null) throw new MirrorLost();
        for (const key of some) stale.add(key);
        if (some.length < ROWS_PER_TURN) break;
        await nextTurn();
      }
      const changes: LineChange[] = [];
      if (isRead) {
        const all = [...stale];
        for (let start = 0; start < all.length; start += ROWS_PER_TURN) {
          await collect(await lines.of(all.slice(start, start + ROWS_PER_TURN)), changes);
        }
        return changes;
      }
      for (let after = ""; ; ) {
        const page = await lines.page(after, ROWS_PER_TURN);
        await collect(page, changes);
        const last = page.at(-1);
        if (last === undefined || page.length < ROWS_PER_TURN) break;
        after = last.key;
      }
      isRead = true;
      return changes;
    },
    isWritten() {
      stale.clear();
    },
    isEqual(text) {
      let at = 0;
      for (const chunk of chunksOf(texts)) {
        if (!text.startsWith(chunk, at)) return false;
        at += chunk.length;
      }
      return at === text.length;
    },
    chunks: () => chunksOf(texts),
  };
}

/** Texts in the order of their keys; `put` replaces one, or with null takes it out. */
function createSortedTexts(): {
  readonly texts: readonly string[];
  put(key: string, text: string | null): void;
} {
  // Two sorted arrays of the same length: with 100,000 sessions a splice takes some microseconds.
  const keys: string[] = [];
  const texts: string[] = [];
  return {
    texts,
    put: (key, text) => {
      const at = placeOf(keys, key);
      const known = keys[at] === key ? 1 : 0;
      keys.splice(at, known, ...(text === null ? [] : [key]));
      texts.splice(at, known, ...(text === null ? [] : [text]));
    },
  };
}

function* chunksOf(texts: readonly string[]): Iterable<string> {
  const { open, first, between, last, close } = MIRROR_FRAME;
  yield open;
  for (let start = 0; start < texts.length; start += LINES_PER_CHUNK) {
    const chunk = texts.slice(start, start + LINES_PER_CHUNK).join(between);
    yield (start === 0 ? first : between) + chunk;
  }
  yield (texts.length > 0 ? last : "") + close;
}

/** Where `key` stands in the sorted `keys`, or would. */
function placeOf(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] ?? key) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

async function nextTurn(): Promise<void> {
  await new Promise<void>((resolve) => setImmediate(resolve));
}
