import { type Gate, leaveProbe } from "../domain/gate.ts";
import type { GateTable } from "../ports/gates.ts";
import type { Log } from "../ports/observe.ts";

/** For so long others leave a gate to the one who tries it; renewed while that one lives. */
const PROBE_MS = 30_000;
const RENEW_MS = 10_000;
/** A gate that is closed or opened here while the table is read makes what was read old. */
const READS_MAX = 3;

/** The gates of this process, as far as other processes share them through the table. */
export interface SharedGates {
  follow(): Promise<void>;
  /** False: another process tries the gate; `gates` says so then. True where the table does not answer. */
  begin(gate: Gate, by: string): Promise<boolean>;
  end(by: string): Promise<void>;
}

/**
 * Keeps `gates`, which are decided on in memory, beside what other processes have written. `names`
 * are the gates that are shared; `unwritten` those whose row is not what memory says: these hold.
 * `written` resolves when every decision of this process until now is in the table, `decided` counts
 * them.
 */
export function shareGates(parts: {
  readonly table: GateTable;
  readonly gates: Map<string, Gate>;
  readonly isShared: (name: string) => boolean;
  readonly unwritten: ReadonlySet<string>;
  readonly written: () => Promise<void>;
  readonly decided: () => number;
  readonly now: () => number;
  readonly log: Log;
}): SharedGates {
  const { table, gates, isShared, unwritten, now, log } = parts;
  const probes = new Map<string, number>();

  return {
    follow: async () => {
      await renew();
      for (let read = 0; read < READS_MAX; read += 1) {
        const before = parts.decided();
        await parts.written();
        const rows = await table.all();
        if (parts.decided() !== before) continue;
        takeOver(rows.filter(({ name }) => isShared(name) && !unwritten.has(name)));
        return;
      }
    },
    begin: async (gate, by) => {
      const answer = await takeProbe(parts, gate.name, by);
      // Where writing it down has failed, the table knows of no such gate and of nobody who tries it.
      if (answer === "begun") probes.set(by, now());
      else if (answer === "open" && !unwritten.has(gate.name)) forget(gate);
      else if (answer === "closed") gates.set(gate.name, leaveProbe(gate, by));
      return answer !== "closed";
    },
    end: async (by) => {
      if (probes.delete(by)) await table.leaveProbe(by);
    },
  };

  async function renew(): Promise<void> {
    for (const { name, probe } of gates.values()) {
      const since = probe === null ? undefined : probes.get(probe);
      if (probe === null || since === undefined || now() - since < RENEW_MS) continue;
      if ((await table.takeProbe(name, probe, now() + PROBE_MS)) === "begun") {
        probes.set(probe, now());
      }
    }
  }

  function takeOver(rows: readonly Gate[]): void {
    const closed = new Set(rows.map(({ name }) => name));
    for (const gate of gates.values()) {
      if (isShared(gate.name) && !unwritten.has(gate.name) && !closed.has(gate.name)) forget(gate);
    }
    for (const gate of rows) {
      if (!gates.has(gate.name)) {
        const { name, reason, attempt, retryAt } = gate;
        const retry_at = new Date(retryAt).toISOString();
        log.warn("gate closed by another process", { gate: name, reason, attempt, retry_at });
      }
      gates.set(gate.name, gate);
    }
  }

  function forget({ name, reason }: Gate): void {
    gates.delete(name);
    log.info("gate opened by another process", { gate: name, reason });
  }
}

/** Null: it could not be written down, so nobody is known to be quicker. */
async function takeProbe(
  { table, now, log }: Pick<Parameters<typeof shareGates>[0], "table" | "now" | "log">,
  name: string,
  by: string,
): Promise<Awaited<ReturnType<GateTable["takeProbe"]>> | null> {
  try {
    return await table.takeProbe(name, by, now() + PROBE_MS);
  } catch (error) {
    log.warn("a gate could not be written down", { gate: name, reason: String(error) });
    return null;
  }
}
