import type { Log } from "../ports/observe.ts";
import { createOncePerMinute } from "../time/once-per-minute.ts";

/** Something that is done again and again, and can break each time. */
export interface Trouble {
  broke(error: unknown): void;
  /** It was done. */
  went(): void;
}

/**
 * Tells of what breaks again and again, e.g. every second while the disk is full: when it begins, then
 * in each minute once for each reason (`more` counts what was left out since), and once when it is over
 * (`times` it broke). What breaks and goes in turns is told no more often than that.
 */
export function tellTrouble(
  { log, now }: { readonly log: Log; readonly now: () => number },
  words: { readonly broke: string; readonly over: string },
): Trouble {
  const turnOf = createOncePerMinute();
  let isTold = false;
  let times = 0;
  return {
    broke: (error) => {
      times += 1;
      const turn = turnOf(String(error), now());
      if (!turn.now) return;
      isTold = true;
      const more = turn.skipped === 0 ? {} : { more: turn.skipped };
      log.error(words.broke, { reason: reasonWithStack(error), ...more });
    },
    went: () => {
      if (!isTold) return;
      log.info(words.over, { times });
      isTold = false;
      times = 0;
    },
  };
}

/** What broke, with the place for whoever has to mend it. */
export function reasonWithStack(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
