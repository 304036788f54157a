import type { ProbeAnswer } from "../ports/gates.ts";
import type { Log } from "../ports/observe.ts";

/** The cheap questions about gates. */
export interface GateQuestions {
  has(name: string): boolean;
  /** Asks, one question about a gate at a time; resolves with whether it was found closed, with false when it cannot be asked about. */
  ask(name: string, by: string | null): Promise<boolean>;
  /** Resolves when no question is open. */
  settled(): Promise<void>;
}

/** Asks `probes`, by name of the gate, and calls `answered` with each answer before anybody else has it. */
export function createGateQuestions(options: {
  readonly probes: Readonly<Record<string, () => Promise<ProbeAnswer>>>;
  readonly answered: (name: string, answer: ProbeAnswer, by: string | null) => void;
  readonly log: Log;
}): GateQuestions {
  const { probes, answered, log } = options;
  const asking = new Map<string, Promise<boolean>>();

  return {
    has: (name) => name in probes,
    ask: async (name, by) => {
      const probe = probes[name];
      if (probe === undefined) return false;
      const under = asking.get(name);
      if (under !== undefined) return await under;
      const asked = answerOf(probe)
        .then((answer) => {
          answered(name, answer, by);
          return !answer.ok;
        })
        .finally(() => asking.delete(name));
      asking.set(name, asked);
      return await asked;
    },
    settled: async () => {
      await Promise.all(asking.values());
    },
  };

  async function answerOf(probe: () => Promise<ProbeAnswer>): Promise<ProbeAnswer> {
    try {
      return await probe();
    } catch (error) {
      log.warn("a gate could not be asked about", { reason: String(error) });
      return { ok: false, reason: "unavailable", until: null };
    }
  }
}
