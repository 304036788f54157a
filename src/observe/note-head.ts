import type { Log } from "../ports/observe.ts";
import type { AuditHead } from "./audit-chain.ts";

/** Where the head of the chain is noted outside of the record, so that a cut-off end is noticed. */
export interface HeadNote {
  read(): Promise<AuditHead | null>;
  write(head: AuditHead): Promise<void>;
}

const NOTE_EVERY_MS = 1000;

/** Notes the newest head at most once a second, one write at a time; a failure is tried again. */
export function createNoting({ note, log }: { readonly note: HeadNote; readonly log: Log }): {
  note(head: AuditHead): void;
  close(): Promise<void>;
} {
  let wanted: AuditHead | null = null;
  let timer: ReturnType<typeof setTimeout> | null = null;
  let isFailing = false;
  let last = Promise.resolve();
  const writeNow = async () => {
    const head = wanted;
    if (head === null) return;
    try {
      await note.write(head);
      isFailing = false;
      if (wanted === head) wanted = null;
    } catch (error) {
      if (!isFailing) log.warn("the head of the audit could not be noted", { error });
      isFailing = true;
    }
  };
  const later = () => {
    timer ??= setTimeout(() => {
      last = last.then(writeNow).then(() => {
        timer = null;
        if (wanted !== null) later();
      });
    }, NOTE_EVERY_MS);
    timer.unref();
  };
  return {
    note: (head) => {
      wanted = head;
      later();
    },
    close: async () => {
      if (timer !== null) clearTimeout(timer);
      await last;
      await writeNow();
      // A note that was just being written may have set the timer again.
      if (timer !== null) clearTimeout(timer);
    },
  };
}
