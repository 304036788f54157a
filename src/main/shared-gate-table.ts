import type { Gate } from "../domain/gate.ts";
import type { GateTable } from "../ports/gates.ts";

/**
 * The gates where several processes share a database: those of a credential stand in the `shared`
 * table, and all that is a matter of this host in its `own`: its disk, its sandbox, its way to the
 * forge, and a model's server that it cannot reach while others may.
 */
export function sharedGateTable(tables: {
  readonly own: GateTable;
  readonly shared: GateTable;
  readonly isShared: (name: string) => boolean;
}): GateTable {
  const { own, shared, isShared } = tables;
  const concernsAll = ({ name, reason }: Gate): boolean => isShared(name) && reason !== "network";
  return {
    async all() {
      const gates = new Map<string, Gate>();
      const ofAll = (await shared.all()).filter(({ name }) => isShared(name));
      for (const gate of [...(await own.all()), ...ofAll]) {
        const other = gates.get(gate.name);
        gates.set(gate.name, other === undefined ? gate : longer(other, gate));
      }
      return [...gates.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
    },
    put: async (gate) => await (concernsAll(gate) ? shared : own).put(gate),
    async remove(name) {
      await own.remove(name);
      if (isShared(name)) await shared.remove(name);
    },
    async takeProbe(name, by, until) {
      const mine = await own.takeProbe(name, by, until);
      if (!isShared(name) || mine === "closed") return mine;
      const answer = await shared.takeProbe(name, by, until);
      if (answer === "closed" && mine === "begun") await own.leaveProbe(by);
      return answer === "open" ? mine : answer;
    },
    async leaveProbe(by) {
      await own.leaveProbe(by);
      await shared.leaveProbe(by);
    },
  };
}

function longer(a: Gate, b: Gate): Gate {
  const later = a.retryAt > b.retryAt ? a : b;
  return { ...later, probe: a.probe ?? b.probe };
}
