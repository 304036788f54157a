import { ACCOUNT_KEY, ASKED_TEXT_KEY, itemOfAskedText } from "../domain/asked-text.ts";
import { namedLogin } from "../domain/people.ts";
import type { Policy } from "../domain/policy.ts";
import type { Log } from "../ports/observe.ts";
import type { Store } from "../ports/store.ts";
import { waitAtMost } from "../time/wait-at-most.ts";

const EVERY_MS = 60 * 60_000;
const PAGE = 200;
/** Since when a value has not been needed, in the same table under this prefix and its name. */
const UNNEEDED = "unneeded:";

/** What is tidied with; `unneededMs`: for how long a value is kept although nothing needs it. */
export interface TidyMetaOptions {
  readonly store: Pick<Store, "meta"> & { readonly work: Pick<Store["work"], "item"> };
  readonly policy: (repo: string) => Policy | null;
  readonly policies: () => readonly Policy[];
  readonly unneededMs: number;
  readonly now: () => number;
  readonly log: Log;
}

/** `tidyMeta` once in an hour, until the signal. */
export async function tidyMetaForEver(
  options: TidyMetaOptions & { readonly signal: AbortSignal },
): Promise<void> {
  const { signal, log } = options;
  while (!signal.aborted) {
    await waitAtMost(EVERY_MS, signal);
    if (signal.aborted) return;
    try {
      const count = await tidyMeta(options);
      if (count > 0) log.info("forgot what nothing needs any more", { count });
    } catch (error) {
      log.warn("the store could not be tidied", { reason: String(error) });
    }
  }
}

/**
 * Forgets accounts whose login the configuration has not named for `unneededMs`, and what issues said
 * whose repository it has not named for so long, or which are unknown. Of the others everything stays,
 * also when the issue is closed: its author can open it again, and with other words it would be taken
 * for what a person once asked for. The time counts because another process of the same database may
 * still have the older configuration. Resolves with how many were forgotten.
 */
export async function tidyMeta(options: Omit<TidyMetaOptions, "log">): Promise<number> {
  const { store, policy } = options;
  const logins = new Set(options.policies().flatMap(loginsOf));
  const accounts = await tidyKeys(options, ACCOUNT_KEY, async (login) => logins.has(login));
  const texts = await tidyKeys(options, ASKED_TEXT_KEY, async (name) => {
    const item = itemOfAskedText(name);
    return item !== null && policy(item.repo) !== null && (await store.work.item(item)) !== null;
  });
  return accounts + texts;
}

function loginsOf({ repository }: Policy): readonly string[] {
  const { mayTrigger } = repository;
  return typeof mayTrigger === "string" ? [] : mayTrigger.map((entry) => namedLogin(entry).login);
}

async function tidyKeys(
  { store: { meta }, unneededMs, now }: Omit<TidyMetaOptions, "log">,
  prefix: string,
  isNeeded: (name: string) => Promise<boolean>,
): Promise<number> {
  let count = 0;
  let after = "";
  for (;;) {
    const keys = await meta.keys({ prefix, after, limit: PAGE });
    for (const key of keys) {
      const mark = `${UNNEEDED}${key}`;
      const since = await meta.get(mark);
      if (await isNeeded(key.slice(prefix.length))) {
        if (since !== null) await meta.remove(mark);
      } else if (since === null) await meta.set(mark, `${now()}`);
      else if (Number(since) + unneededMs <= now()) {
        await meta.remove(key);
        await meta.remove(mark);
        count += 1;
      }
    }
    const last = keys.at(-1);
    if (last === undefined || keys.length < PAGE) return count;
    after = last;
    // What has come in meanwhile is taken before the next page.
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}
