import { createHash } from "node:crypto";
import { rm, statfs, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Config } from "../config/config.ts";
import type { ForgeReader } from "../ports/forge.ts";
import type { Gates, ProbeAnswer } from "../ports/gates.ts";
import type { Jail } from "../ports/jail.ts";
import type { Log } from "../ports/observe.ts";
import type { ItemRow, Store } from "../ports/store.ts";
import { createGates } from "../work/gates.ts";
import { NO_ANSWER } from "../work/reconcile.ts";
import { probeForge } from "../work/watch-forge.ts";
import { markAgain } from "./look-again.ts";

/** Less room than this counts as a full disk: a clone and a transcript need some. */
const DISK_BYTES_MIN = 32 * 1024 * 1024;
const TRIAL_BYTES = 64 * 1024;

/** Opens the gates of this configuration as they were when the last process ended. */
export async function openGates(parts: {
  readonly config: Config;
  readonly store: Store;
  readonly forge: { readonly reader: Pick<ForgeReader, "version"> };
  readonly jail: Pick<Jail, "check">;
  /** Called after a gate was opened: what waited behind it may begin. */
  readonly wake: () => void;
  readonly now: () => number;
  readonly log: Log;
}): Promise<Gates> {
  const { config, store, forge, jail, now, log } = parts;
  const names = [modelGateOf(config), "forge", "sandbox", "disk"];
  return await createGates({
    table: store.gates,
    agents: () => config.agents.map(({ name }) => name),
    gatesOf: () => names,
    probes: {
      forge: async () => await probeForge(async () => await forge.reader.version()),
      sandbox: async () => {
        const check = await jail.check();
        if (!check.ok) log.warn("the sandbox does not start", { reason: check.problem });
        return check.ok ? check : { ok: false, reason: "missing", until: null };
      },
      disk: async () => await probeDisk(config.stateDir),
    },
    onChange: (change) => {
      if (change === "opened") parts.wake();
      // People are told by the next look at each item that waits.
      const isWanted = change === "opened" ? hadNoAnswer : isWaiting;
      markAgain(store, isWanted).catch((error: unknown) => {
        log.warn("items could not be marked", { reason: String(error) });
      });
    },
    now,
    chance: Math.random,
    log,
  });
}

const isWaiting = ({ waitsFor }: ItemRow): boolean => waitsFor !== null;
/** What could not be looked at need not wait for its time any longer. */
const hadNoAnswer = ({ reason }: ItemRow): boolean => reason.startsWith(NO_ANSWER);

/** The gate of the model's credential: another credential or another server is another gate. */
export function modelGateOf({ model }: Config): string {
  const { kind, secret } = model.credential;
  const identity = `${model.baseUrl}\n${kind}\n${secret.reveal()}`;
  return `model:${createHash("sha256").update(identity).digest("hex").slice(0, 8)}`;
}

/** Whether there is room, and a file can be written. */
async function probeDisk(stateDir: string): Promise<ProbeAnswer> {
  const full: ProbeAnswer = { ok: false, reason: "full", until: null };
  const { bavail, bsize } = await statfs(stateDir);
  if (bavail * bsize < DISK_BYTES_MIN) return full;
  const path = join(stateDir, `.trial.${process.pid}`);
  try {
    await writeFile(path, Buffer.alloc(TRIAL_BYTES), { mode: 0o600, flush: true });
    return { ok: true };
  } catch {
    // Whatever is the matter: nothing can be written.
    return full;
  } finally {
    await rm(path, { force: true });
  }
}
