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
import { shareGates } from "./follow-gates.ts";

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
 * share it whenever `follow` is called. Everything is decided in memory (a
 * full disk must be able to close a gate) and written down after; gates that no agent has any more
 * are passed over, and forgotten when their time has come.
 */
export async function createGates(options: GatesOptions): Promise<Gates> {
  const { table, probes, now, log, isShared = false } = options;
  const gates = new Map<string, Gate>();
  const asking = new Map<string, Promise<boolean>>();
  const unwritten = new Set<string>();
  let writing: Promise<void> = Promise.resolve();
  let decided = 0;
  const names = [...new Set(options.agents().flatMap((agent) => options.gatesOf(agent)))].sort();
  for (const gate of await table.all()) {
    // Nobody but this process could be trying: it was another life of it.
    if (names.includes(gate.name)) gates.set(gate.name, isShared ? gate : { ...gate, probe: null });
    // Another process may share the table, and have another credential.
    else if (gate.retryAt + FORGET_MS <= now()) await table.remove(gate.name);
  }
  const others = shareGates({
    ...{ table, gates, unwritten, now, log },
    isShared: (name) => names.includes(name) && !(name in probes),
    written: async () => await writing,
    decided: () => decided,
  });
  const ofAgent = (agent: string): readonly Gate[] =>
    options.gatesOf(agent).flatMap((name) => gates.get(name) ?? []);

  return {
    closed: () => [...gates.values()].sort((a, b) => (a.name < b.name ? -1 : 1)),
    names: () => names,
    isClosed: (name) => gates.has(name),
    holding: (agent) => {
      const holding = ofAgent(agent).filter(holds);
      return holding.toSorted((a, b) => b.retryAt - a.retryAt)[0] ?? null;
    },
    held: () => options.agents().filter((agent) => ofAgent(agent).some(holds)),
    follow: async () => {
      if (!isShared) return;
      for (const name of unwritten) write(name);
      await others.follow();
    },
    enter: async (agent, by) => {
      for (const gate of ofAgent(agent)) {
        if (passage(gate, now()) !== "probe" || gate.name in probes) continue;
        const tried = beginProbe(gate, by);
        gates.set(gate.name, tried);
        if (isShared && !(await mayTry(tried, by))) return false;
        if (!gates.has(gate.name)) continue;
        log.info("trying a gate", { gate: gate.name, reason: gate.reason, attempt: gate.attempt });
      }
      return true;
    },
    block: (blocker, by) => close(blocker, by),
    pass: (name, by) => {
      const gate = gates.get(name);
      if (gate !== undefined && passGate(gate, by) === null) open(gate);
    },
    leave: (by) => {
      for (const gate of gates.values()) gates.set(gate.name, leaveProbe(gate, by));
      if (isShared) record({ by }, async () => await others.end(by));
    },
    suspect: async (name) => gates.has(name) || (await ask(name, null)),
    tryDue: () => {
      for (const gate of gates.values()) {
        if (!(gate.name in probes) || passage(gate, now()) !== "probe") continue;
        gates.set(gate.name, beginProbe(gate, PROBE));
        void ask(gate.name, PROBE);
      }
    },
    nextTry: () => {
      const times = [...gates.values()]
        .filter(({ probe, retryAt }) => probe === null && retryAt > now())
        .map(({ retryAt }) => retryAt);
      return times.length === 0 ? null : Math.min(...times);
    },
    settled: async () => {
      await Promise.all(asking.values());
      await writing;
    },
  };

  function holds(gate: Gate): boolean {
    return gate.name in probes || passage(gate, now()) === "closed";
  }

  async function mayTry(gate: Gate, by: string): Promise<boolean> {
    try {
      return await others.begin(gate, by);
    } catch (error) {
      log.warn("a gate could not be written down", { gate: gate.name, reason: String(error) });
      return true;
    }
  }

  /** Asks once at a time; whether the gate is closed afterwards. Without a question nothing is known. */
  async function ask(name: string, by: string | null): Promise<boolean> {
    const probe = probes[name];
    if (probe === undefined) return gates.has(name);
    const under = asking.get(name);
    if (under !== undefined) return await under;
    const asked = answerOf(probe)
      .then((answer) => {
        const gate = gates.get(name);
        if (!answer.ok) close({ name, reason: answer.reason, until: answer.until }, by);
        else if (gate !== undefined) open(gate);
        return !answer.ok;
      })
      .finally(() => asking.delete(name));
    asking.set(name, asked);
    return await asked;
  }

  async function answerOf(probe: () => Promise<ProbeAnswer>): Promise<ProbeAnswer> {
    try {
      return await probe();
    } catch (error) {
      log.warn("a gate could not be asked about", { reason: String(error) });
      return { ok: false, reason: "unavailable", until: null };
    }
  }

  function close(blocker: Blocker, by: string | null): void {
    const before = gates.get(blocker.name) ?? null;
    const gate = closeGate(before, { ...blocker, by }, { now: now(), chance: options.chance() });
    if (gate === before) return;
    gates.set(gate.name, gate);
    write(gate.name);
    if (isShared && by !== null) record({ by }, async () => await others.end(by));
    const { name, reason, attempt, retryAt } = gate;
    const retry_at = new Date(retryAt).toISOString();
    log.warn("gate closed", { gate: name, reason, attempt, retry_at });
    if (isLongWait(gate) && !(before !== null && saysTheSame(before, gate)))
      options.onChange("long");
  }

  function open(gate: Gate): void {
    gates.delete(gate.name);
    write(gate.name);
    log.info("gate opened", { gate: gate.name, reason: gate.reason, attempt: gate.attempt });
    options.onChange("opened");
  }

  /** One write after the other, each of what holds then. */
  function write(name: string): void {
    decided += 1;
    unwritten.add(name);
    record({ gate: name }, async () => {
      const gate = gates.get(name);
      await (gate === undefined ? table.remove(name) : table.put(gate));
      if (gates.get(name) === gate) unwritten.delete(name);
    });
  }

  function record(of: Readonly<Record<string, string>>, act: () => Promise<void>): void {
    writing = writing.then(act).catch((error: unknown) => {
      log.warn("a gate could not be written down", { ...of, reason: String(error) });
    });
  }
}

/** A gate of a credential that nobody has tried for so long is nobody's. */
const FORGET_MS = 86_400_000;

/** Whoever asks the cheap question. */
const PROBE = "probe";

/** Whether people were told the same of the gate as it was before. */
function saysTheSame(before: Gate, after: Gate): boolean {
  return (
    isLongWait(before) &&
    before.reason === after.reason &&
    !after.isNamed &&
    before.isNamed === after.isNamed
  );
}
