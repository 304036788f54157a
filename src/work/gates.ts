import {
  type Blocker,
  beginProbe,
  closeGate,
  type Gate,
  isLongWait,
  leaveProbe,
  passage,
  passGate,
} from "../domain/gate.ts";
import type { Gates, GateTable, ProbeAnswer } from "../ports/gates.ts";
import type { Log } from "../ports/observe.ts";
import { createGateQuestions } from "./ask-gates.ts";
import { shareGates } from "./follow-gates.ts";
import { viewGates } from "./view-gates.ts";
import { createGateWriter, type GateWriter } from "./write-gates.ts";

/** A gate of a credential that nobody has tried for so long is nobody's. */
const FORGET_MS = 86_400_000;
/** Whoever asks the cheap question. */
const PROBE = "probe";

/** What the gates are built from. */
export interface GatesOptions {
  readonly table: GateTable;
  /** Other processes write the table, too: what they find holds here, but for what can be asked about. */
  readonly isShared?: boolean;
  /** Names of agents. */
  readonly agents: () => readonly string[];
  /** Names of the gates in front of an agent's runs. */
  readonly gatesOf: (agent: string) => readonly string[];
  /** What can be asked cheaply, by gate; a gate without is tried by one run. */
  readonly probes: Readonly<Record<string, () => Promise<ProbeAnswer>>>;
  /** Called after a gate was opened, or a wait has become one that people are told of. */
  readonly onChange: (change: "opened" | "long") => void;
  readonly now: () => number;
  /** A random number from 0 up to 1. */
  readonly chance: () => number;
  readonly log: Log;
}

/**
 * The gates as this process holds them, read from the table at the start, and where other processes
 * share it whenever `follow` is called. Everything is decided in memory (a full
 * disk must be able to close a gate) and written down after; gates that no agent has any more are
 * passed over, and forgotten when their time has come.
 */
export async function createGates(options: GatesOptions): Promise<Gates> {
  const { table, now, log, isShared = false } = options;
  const names = [...new Set(options.agents().flatMap((agent) => options.gatesOf(agent)))].sort();
  const gates = await readGates(names, options);
  const writer = createGateWriter(gates, options);
  const endProbe = (by: string): void => {
    if (isShared) writer.record({ by }, async () => await others.end(by));
  };
  const { close, open } = turnGates({ gates, writer, endProbe, options });
  const questions = createGateQuestions({ probes: options.probes, answered, log });
  const others = shareGates({
    ...{ table, gates, unwritten: writer.unwritten, now, log },
    isShared: (name) => names.includes(name) && !questions.has(name),
    written: writer.settled,
    decided: writer.decided,
  });

  return {
    ...viewGates(gates, { ...options, names, isAsked: questions.has }),
    follow: async () => {
      if (!isShared) return;
      for (const name of writer.unwritten) writer.write(name);
      await others.follow();
    },
    enter: async (agent, by) => {
      for (const name of options.gatesOf(agent)) {
        const gate = gates.get(name);
        if (gate === undefined || questions.has(name) || passage(gate, now()) !== "probe") continue;
        const tried = beginProbe(gate, by);
        gates.set(name, tried);
        if (isShared && !(await others.begin(tried, by))) return false;
        if (!gates.has(name)) continue;
        log.info("trying a gate", { gate: name, reason: gate.reason, attempt: gate.attempt });
      }
      return true;
    },
    block: close,
    pass: (name, by) => {
      const gate = gates.get(name);
      if (gate !== undefined && passGate(gate, by) === null) open(gate);
    },
    leave: (by) => {
      for (const gate of gates.values()) gates.set(gate.name, leaveProbe(gate, by));
      endProbe(by);
    },
    suspect: async (name) => gates.has(name) || (await questions.ask(name, null)),
    tryDue: () => {
      for (const gate of gates.values()) {
        if (!questions.has(gate.name) || passage(gate, now()) !== "probe") continue;
        gates.set(gate.name, beginProbe(gate, PROBE));
        void questions.ask(gate.name, PROBE);
      }
    },
    settled: async () => {
      await questions.settled();
      await writer.settled();
    },
  };

  function answered(name: string, answer: ProbeAnswer, by: string | null): void {
    const gate = gates.get(name);
    if (!answer.ok) close({ name, reason: answer.reason, until: answer.until }, by);
    else if (gate !== undefined) open(gate);
  }
}

/** Closes and opens gates: in memory first, then in the table, and says so. */
function turnGates({
  gates,
  writer,
  endProbe,
  options: { now, chance, log, onChange },
}: {
  readonly gates: Map<string, Gate>;
  readonly writer: GateWriter;
  readonly endProbe: (by: string) => void;
  readonly options: Pick<GatesOptions, "now" | "chance" | "log" | "onChange">;
}): { close(blocker: Blocker, by: string | null): void; open(gate: Gate): void } {
  return {
    close: (blocker, by) => {
      const before = gates.get(blocker.name) ?? null;
      const gate = closeGate(before, { ...blocker, by }, { now: now(), chance: chance() });
      if (gate === before) return;
      gates.set(gate.name, gate);
      writer.write(gate.name);
      if (by !== null) endProbe(by);
      const { name, reason, attempt, retryAt } = gate;
      const retry_at = new Date(retryAt).toISOString();
      log.warn("gate closed", { gate: name, reason, attempt, retry_at });
      if (isLongWait(gate) && !(before !== null && saysTheSame(before, gate))) onChange("long");
    },
    open: (gate) => {
      gates.delete(gate.name);
      writer.write(gate.name);
      log.info("gate opened", { gate: gate.name, reason: gate.reason, attempt: gate.attempt });
      onChange("opened");
    },
  };
}

/** What the table says of the gates there are; what stands there of others is forgotten in time. */
async function readGates(
  names: readonly string[],
  { table, isShared = false, now }: Pick<GatesOptions, "table" | "isShared" | "now">,
): Promise<Map<string, Gate>> {
  const gates = new Map<string, Gate>();
  for (const gate of await table.all()) {
    // Nobody but this process could be trying: it was another life of it.
    if (names.includes(gate.name)) gates.set(gate.name, isShared ? gate : { ...gate, probe: null });
    // Another process may share the table, and have another credential.
    else if (gate.retryAt + FORGET_MS <= now()) await table.remove(gate.name);
  }
  return gates;
}

/** Whether people were told the same of the gate as it was before. */
function saysTheSame(before: Gate, after: Gate): boolean {
  return (
    isLongWait(before) &&
    before.reason === after.reason &&
    !after.isNamed &&
    before.isNamed === after.isNamed
  );
}
