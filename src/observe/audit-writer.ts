import {
  type KeptFileOptions,
  keepAuditFile,
  type LineBody,
  type Opening,
} from "./keep-audit-file.ts";

/** Brings lines to the disk, one write after the other, and never disturbs who appends them. */
export interface AuditWriter {
  write(body: LineBody): void;
  start(): Promise<void>;
  flush(): Promise<void>;
  close(): Promise<void>;
}

const WAITING_LINES_MAX = 10_000;
/** After a disk error; a new line tries at once. */
const AGAIN_AFTER_MS = 1000;

const FINDINGS = {
  audit_repaired: "the last line of the audit was torn and is repaired",
  audit_gap: "the audit is not as it was left: look at it with claude-hooks audit verify",
} as const;

/** `bodyOf` makes the lines that the writer itself adds: what was found, and how many were lost. */
export function createAuditWriter(
  options: KeptFileOptions & {
    readonly bodyOf: (kind: string, fields: LineBody) => LineBody;
  },
): AuditWriter {
  const { file, log, bodyOf } = options;
  let waiting: LineBody[] = [];
  let dropped = 0;
  // Lines of a write that failed: some of them may be on the disk all the same.
  let unsure = 0;
  let closed = false;

  const kept = keepAuditFile(options, ({ findings, unknown }: Opening) => {
    // What an interrupted write had brought to the disk is not written twice.
    waiting = waiting.slice(Math.min(Math.max(unknown, 0), unsure));
    unsure = 0;
    for (const { kind, fields } of findings) {
      log[kind === "audit_gap" ? "error" : "warn"](FINDINGS[kind], { file, ...fields });
    }
    waiting = [...findings.map(({ kind, fields }) => bodyOf(kind, fields)), ...waiting];
  });

  const writeWaiting = async (): Promise<void> => {
    if (kept.isOpen() && waiting.length === 0 && dropped === 0) return;
    await kept.ready();
    if (dropped > 0) {
      waiting = [...waiting, bodyOf("audit_lost", { lines: dropped })];
      dropped = 0;
    }
    if (waiting.length === 0) return;
    unsure = waiting.length;
    await kept.append(waiting);
    waiting = waiting.slice(unsure);
    unsure = 0;
  };
  const turns = takeTurns(writeWaiting, async (error, isFirst) => {
    if (isFirst) log.warn("audit lines not written", { lines: waiting.length, file, error });
    await kept.drop();
  });

  return {
    write: (body) => {
      if (closed || waiting.length >= WAITING_LINES_MAX) {
        dropped += 1;
        if (dropped === 1) {
          log.warn("audit lines dropped", { file, closed, waiting: waiting.length });
        }
        return;
      }
      waiting.push(body);
      // While the disk is away the timer tries, not every line.
      if (!turns.isComing()) void turns.next();
    },
    start: turns.next,
    flush: turns.next,
    close: async () => {
      closed = true;
      await turns.next();
      turns.end();
      await kept.close();
    },
  };
}

/** Writes one after the other; one that failed is tried again after a second, as a turn of its own. */
function takeTurns(
  write: () => Promise<void>,
  onFailure: (error: unknown, isFirst: boolean) => Promise<void>,
) {
  let last = Promise.resolve();
  let again: ReturnType<typeof setTimeout> | null = null;
  let isFailing = false;
  let isEnded = false;

  const turn = async (): Promise<void> => {
    if (isEnded) return;
    try {
      await write();
      isFailing = false;
    } catch (error) {
      const isFirst = !isFailing;
      isFailing = true;
      await onFailure(error, isFirst);
      again ??= setTimeout(() => {
        again = null;
        void next();
      }, AGAIN_AFTER_MS);
      again.unref();
    }
  };
  const next = async (): Promise<void> => {
    last = last.then(turn);
    await last;
  };
  return {
    next,
    /** Whether a turn is waiting for its time after a failure. */
    isComing: () => again !== null,
    end: () => {
      isEnded = true;
      if (again !== null) clearTimeout(again);
    },
  };
}
