import type { Gate } from "../../src/domain/gate.ts";
import type { Gates, GateTable } from "../../src/ports/gates.ts";
import { createGates, type GatesOptions } from "../../src/work/gates.ts";

/** The table of gates without a database. */
export function gateTable(rows: Map<string, Gate> = new Map()): GateTable {
  return {
    all: async () => [...rows.values()].map((gate) => ({ ...gate, probe: null })),
    put: async (gate) => {
      rows.set(gate.name, gate);
    },
    remove: async (name) => {
      rows.delete(name);
    },
    takeProbe: async (name) => (rows.has(name) ? "begun" : "open"),
    leaveProbe: async () => undefined,
  };
}

/** Real gates in front of boss and reviewer, all open; `model:test` is the model's. */
export async function openGates(options: Partial<GatesOptions> = {}): Promise<Gates> {
  const ignore = (): void => undefined;
  return await createGates({
    table: gateTable(),
    agents: () => ["boss", "reviewer"],
    gatesOf: (agent) => (agent === "code-lead" ? [] : ["model:test", "forge", "sandbox", "disk"]),
    probes: {},
    onChange: ignore,
    now: Date.now,
    chance: () => 0.5,
    log: { debug: ignore, info: ignore, warn: ignore, error: ignore },
    ...options,
  });
}
