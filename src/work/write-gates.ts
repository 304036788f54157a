import type { Gate } from "../domain/gate.ts";
import type { GateTable } from "../ports/gates.ts";
import type { Log } from "../ports/observe.ts";

/** Writes down what was decided about gates, without anybody waiting for it. */
export interface GateWriter {
  /** Writes what holds of a gate when its turn comes: its row, or that there is none. */
  write(name: string): void;
  /** Does something to the table after everything before it; `of` stands in the log if it fails. */
  record(of: Readonly<Record<string, string>>, act: () => Promise<void>): void;
  /** Names of the gates whose row is not what memory says. */
  readonly unwritten: ReadonlySet<string>;
  /** How many decisions there were. */
  decided(): number;
  /** Resolves when everything until now is written, or could not be. */
  settled(): Promise<void>;
}

/** Writes one thing after the other, in the order of the calls; what fails is logged and stays `unwritten`. */
export function createGateWriter(
  gates: ReadonlyMap<string, Gate>,
  { table, log }: { readonly table: Pick<GateTable, "put" | "remove">; readonly log: Log },
): GateWriter {
  const unwritten = new Set<string>();
  let writing: Promise<void> = Promise.resolve();
  let decided = 0;
  const record: GateWriter["record"] = (of, act) => {
    writing = writing.then(act).catch((error: unknown) => {
      log.warn("a gate could not be written down", { ...of, reason: String(error) });
    });
  };
  return {
    unwritten,
    record,
    write: (name) => {
      decided += 1;
      unwritten.add(name);
      record({ gate: name }, async () => {
        const gate = gates.get(name);
        await (gate === undefined ? table.remove(name) : table.put(gate));
        if (gates.get(name) === gate) unwritten.delete(name);
      });
    },
    decided: () => decided,
    settled: async () => await writing,
  };
}
