import { type Gate, passage } from "../domain/gate.ts";
import type { Gates } from "../ports/gates.ts";

type GateView = Pick<Gates, "closed" | "names" | "isClosed" | "holding" | "held" | "nextTry">;

/** What can be seen of `gates`, the closed ones by name, without changing anything. */
export function viewGates(
  gates: ReadonlyMap<string, Gate>,
  options: {
    /** Names of all gates there are, ordered. */
    readonly names: readonly string[];
    readonly agents: () => readonly string[];
    /** Names of the gates in front of an agent's runs. */
    readonly gatesOf: (agent: string) => readonly string[];
    /** Whether a gate is asked about, so that no run need try it. */
    readonly isAsked: (name: string) => boolean;
    readonly now: () => number;
  },
): GateView {
  const { names, agents, gatesOf, isAsked, now } = options;
  const holding = (agent: string): readonly Gate[] =>
    gatesOf(agent)
      .flatMap((name) => gates.get(name) ?? [])
      .filter((gate) => isAsked(gate.name) || passage(gate, now()) === "closed");
  return {
    closed: () => [...gates.values()].sort((a, b) => (a.name < b.name ? -1 : 1)),
    names: () => names,
    isClosed: (name) => gates.has(name),
    holding: (agent) => holding(agent).toSorted((a, b) => b.retryAt - a.retryAt)[0] ?? null,
    held: () => agents().filter((agent) => holding(agent).length > 0),
    nextTry: () => {
      const times = [...gates.values()]
        .filter(({ probe, retryAt }) => probe === null && retryAt > now())
        .map(({ retryAt }) => retryAt);
      return times.length === 0 ? null : Math.min(...times);
    },
  };
}
