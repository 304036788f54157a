import type { TranscriptKey, TranscriptLine, TranscriptStore } from "../ports/transcripts.ts";
import { answered } from "./answered.ts";

const PAGE_LINES = 200;
const ANSWER_MS_MAX = 10_000;

/** Whether the store has anything of this conversation. Throws TranscriptFailure `unavailable`. */
export async function hasStored(store: TranscriptStore, key: TranscriptKey): Promise<boolean> {
  return await answered(ANSWER_MS_MAX, store.has(key));
}

/** Whether the stored conversation holds the prompt of this run; see holds-prompt.ts. Throws TranscriptFailure `unavailable`. */
export async function holdsStored(
  store: TranscriptStore,
  key: TranscriptKey,
  runId: string,
): Promise<boolean> {
  const wanted = `run ${runId}, `;
  for await (const text of storedBackwards(store, key)) if (text.includes(wanted)) return true;
  return false;
}

/** The lines of a stored conversation, the newest first. Throws TranscriptFailure `unavailable`. */
export async function* storedBackwards(
  store: TranscriptStore,
  key: TranscriptKey,
): AsyncGenerator<string> {
  let from: number | null = null;
  for (;;) {
    const page: readonly TranscriptLine[] = await answered(
      ANSWER_MS_MAX,
      store.lines(key, { from, limit: PAGE_LINES, order: "back" }),
    );
    for (const { text } of page) yield text;
    const last = page.at(-1);
    if (last === undefined) return;
    from = last.at;
  }
}
