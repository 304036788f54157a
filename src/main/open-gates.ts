import { createHash } from "node:crypto";
import type { Config } from "../config/config.ts";
import type { ForgeReader } from "../ports/forge.ts";
import type { Gates, GateTable } from "../ports/gates.ts";
import type { Jail } from "../ports/jail.ts";
import type { Log } from "../ports/observe.ts";
import type { ItemRow } from "../ports/store/items.ts";
import type { Store } from "../ports/store.ts";
import { createGates } from "../work/gates.ts";
import { NO_ANSWER } from "../work/reconcile.ts";
import { probeForge } from "../work/watch-forge.ts";
import { markAgain } from "./look-again.ts";
import { probeDisk } from "./probe-disk.ts";
import { sharedGateTable } from "./shared-gate-table.ts";

const MODEL_GATE = "model:";

/** Opens the gates of this configuration as they were when the last process ended. */
export async function openGates(parts: {
  readonly config: Config;
  readonly store: Store;
  /** Where gates of this host stand when others share the store's; null: nobody does. */
  readonly ownGates: GateTable | null;
  readonly forge: { readonly reader: Pick<ForgeReader, "version"> };
  readonly jail: Pick<Jail, "check">;
  /** Called after a gate was opened: what waited behind it may begin. */
  readonly wake: () => void;
  readonly now: () => number;
  readonly log: Log;
}): Promise<Gates> {
  const { config, store, ownGates, forge, jail, now, log } = parts;
  const names = [modelGateOf(config), "forge", "sandbox", "disk"];
  const isShared = (name: string): boolean => name.startsWith(MODEL_GATE);
  const gates = await createGates({
    table:
      ownGates === null
        ? store.gates
        : sharedGateTable({ own: ownGates, shared: store.gates, isShared }),
    isShared: ownGates !== null,
    agents: () => config.agents.map(({ name }) => name),
    gatesOf: () => names,
    probes: {
      forge: async () => await probeForge(async () => await forge.reader.version()),
      sandbox: async () => {
        const check = await jail.check();
        if (!check.ok) log.warn("the sandbox does not start", { reason: check.problem });
        return check.ok ? check : { ok: false, reason: "missing", until: null };
      },
      disk: async () => await probeDisk({ stateDir: config.stateDir, store }),
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
  store.onFull(() => {
    gates.suspect("disk").catch((error: unknown) => {
      log.warn("a gate could not be asked about", { gate: "disk", reason: String(error) });
    });
  });
  return gates;
}

const isWaiting = ({ waitsFor }: ItemRow): boolean => waitsFor !== null;
/** What could not be looked at need not wait for its time any longer. */
const hadNoAnswer = ({ reason }: ItemRow): boolean => reason.startsWith(NO_ANSWER);

/** The gate of the model's credential: another credential or another server is another gate. */
export function modelGateOf({ model }: Config): string {
  const { kind, secret } = model.credential;
  const identity = `${model.baseUrl}\n${kind}\n${secret.reveal()}`;
  return `${MODEL_GATE}${createHash("sha256").update(identity).digest("hex").slice(0, 8)}`;
}
