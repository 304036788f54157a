import { chanceFrom } from "./chance.ts";
import { type Counters, countAll, type Evidence, storedIn } from "./count.ts";
import { evidenceOf, unfinishedOf } from "./evidence.ts";
import { type People, peopleOf } from "./people.ts";
import type { Weakness } from "./weaken.ts";
import { type ChaosWorld, chaosWorld } from "./world.ts";

const KINDS = ["service", "both", "agents"] as const;
type Kind = (typeof KINDS)[number];

const MOMENTS = [
  "any",
  "accepted",
  "prepared",
  "spawned",
  "working",
  // The forge has it, and the service may not know yet.
  "on the forge",
  "pull request there",
  "on record",
  "told",
  "ended",
] as const;
type Moment = (typeof MOMENTS)[number];
const EFFECTS = /comment|pull_request/u;
/** How long a moment is waited for, and how often it is looked whether there is work for it. */
const MOMENT_MS = 5000;
const BUSY_LOOK_MS = 100;
/** New work needs so long to be seen. */
const IDLE_MS = 1500;

const ACT_MS = 150;
const AGENT_MS = 20_000;
const LOOK_MS = 5;
const SETTLE_LOOK_MS = 100;
/** Without a lease and without a change for so long: what is left will never be done. */
const STILL_MS = 10_000;
const ENCOURAGE_MS = 1000;
/** An end comes in any case: as "out of time" among what is unfinished. */
const PLAY_MS = 480_000;
/** What was counted once stays so; the others count what is not done yet. */
const LASTING: readonly (keyof Counters)[] = [
  "acceptedTwice",
  "ranTwice",
  "overlapped",
  "pullsTooMany",
  "doubled",
];

export interface ChaosOptions {
  readonly seed: number;
  /** Kills of each kind with the stub in the CLI's place. */
  readonly kills: number;
  /** Further kills of each kind with the real CLI. */
  readonly realKills: number;
  readonly issues: number;
  readonly weakness?: Weakness;
  readonly sandbox?: "bwrap" | "none";
  readonly deaf?: boolean;
  readonly kinds?: readonly Kind[];
  /** The same moment for every kill, instead of each in turn. */
  readonly moment?: Moment;
  /** False: nobody closes an issue. */
  readonly mayClose?: boolean;
  /** After each kill somebody closes what pull request an agent has open, and leaves the issue. */
  readonly closesPulls?: boolean;
  /** Comes to its end as soon as this counter speaks, if what it says can only grow. */
  readonly stopAt?: keyof Counters;
  /** The longest that all of it may take, in milliseconds. */
  readonly playMs?: number;
  readonly onNote?: (note: string) => void;
}

export interface ChaosResult {
  readonly counters: Counters;
  /** Work items that are not where they should be in the end. */
  readonly unfinished: readonly string[];
  /** How much there was of everything. */
  readonly figures: Readonly<Record<string, number>>;
}

/** Plays one run of the chaos: load, people and kills at once, then quiet, then the counting. */
export async function playChaos(options: ChaosOptions): Promise<ChaosResult> {
  const chance = chanceFrom(options.seed);
  const kinds = options.kinds ?? KINDS;
  const note = options.onNote ?? (() => undefined);
  await using world = await chaosWorld({
    chance: chanceFrom(options.seed + 1),
    weakness: options.weakness ?? null,
    sandbox: options.sandbox ?? "bwrap",
    deaf: options.deaf ?? false,
    stepMs: 120,
  });
  const all = options.kills * kinds.length;
  let killed = 0;
  const people = peopleOf(world, chanceFrom(options.seed + 2), {
    // Spread over the kills, so that there is work to be killed at all times.
    issuesMax: () => Math.ceil(options.issues * Math.min(1, (killed + 4) / (all + 1))),
    mayClose: options.mayClose ?? true,
  });
  const figures: Record<string, number> = {};
  const began = performance.now();
  const end = began + (options.playMs ?? PLAY_MS);
  const isInTime = (): boolean => performance.now() < end;
  await world.start(true);
  await using acting = actUntil(world, people);
  const provide = providing(world, people);
  const kill = async (kind: Kind): Promise<number> => {
    if (kind === "agents") await untilAgent(world, provide);
    const { agents, restartMs } = await killOnce(world, kind, chance);
    if (options.closesPulls === true) await people.closePulls();
    if (kind === "agents" && agents === 0) return 0;
    count(figures, `kills of ${kind}`);
    if (kind !== "agents" && agents > 0) count(figures, `of ${kind}, with agents alive`);
    figures["restart ms, at most"] = Math.max(figures["restart ms, at most"] ?? 0, restartMs);
    return agents;
  };
  while (killed < all && isInTime()) {
    // Every kind meets every moment, whatever the seed.
    const turn = Math.floor(killed / kinds.length) + options.seed;
    const moment = options.moment ?? MOMENTS[turn % MOMENTS.length] ?? "any";
    await untilMoment(world, moment, provide);
    await Bun.sleep(chance.between(0, moment === "any" ? 300 : 10));
    const kind = kinds[killed % kinds.length] ?? "service";
    // Agents that were gone before they could be killed are no kill.
    if ((await kill(kind)) > 0 || kind !== "agents") killed += 1;
  }
  note(`${Math.round(performance.now() - began)} ms: killed`);
  if (options.realKills > 0) {
    world.use("real");
    await killOnce(world, "both", chance);
    for (let met = 0; met < options.realKills * kinds.length && isInTime(); ) {
      await untilAgent(world, provide);
      await Bun.sleep(chance.between(0, 1000));
      if ((await kill(kinds[met % kinds.length] ?? "service")) > 0) met += 1;
      figures["kills of the real CLI"] = met;
    }
  }
  await acting.end();
  if (options.realKills > 0) {
    world.use("stub");
    await killOnce(world, "both", chance);
  }
  note(`${Math.round(performance.now() - began)} ms: no more kills`);
  const quiet = await untilQuiet({ world, people, stopAt: options.stopAt ?? null, isInTime });
  note(`${Math.round(performance.now() - began)} ms: ${quiet}`);
  const evidence = await evidenceOf(world, people.issues);
  return {
    counters: countAll(evidence),
    unfinished: [
      ...(quiet === "quiet" ? [] : [quiet]),
      ...(await unfinishedOf(world, people.issues)),
    ],
    figures: {
      ...figures,
      deliveries: world.load.sent.all,
      duplicates: world.load.sent.duplicates,
      unanswered: world.load.sent.unanswered,
      accepted: [...world.load.answers.values()].filter(({ statuses }) => statuses.includes(202))
        .length,
      issues: people.issues.length,
      runs: evidence.runs.length,
      "starts of the stub": world.recorder.lives.length,
      "pull requests": evidence.pulls.length,
      "texts of agents": evidence.texts.length,
      seconds: Math.round((performance.now() - began) / 1000),
    },
  };
}

/** Kills, and brings the service up again at once; now and then it is killed once more while it starts. */
async function killOnce(
  world: ChaosWorld,
  kind: Kind,
  chance: ReturnType<typeof chanceFrom>,
): Promise<{ agents: number; restartMs: number }> {
  if (kind === "agents") return { agents: await world.killAgents(), restartMs: 0 };
  const agents = world.agentsAlive().length;
  const gone = world.killService();
  if (kind === "both") await world.killAgents();
  await gone;
  if (chance.of(0.15)) {
    await world.start(false);
    await Bun.sleep(chance.between(0, 400));
    await world.killService();
  }
  const began = performance.now();
  await world.start(true);
  return { agents, restartMs: Math.round(performance.now() - began) };
}

/** Waits for the moment in which it is to be killed, but not for ever. */
async function untilMoment(
  world: ChaosWorld,
  moment: Moment,
  provide: () => Promise<void>,
): Promise<void> {
  const { recorder, lines, forge, load } = world;
  const probe: Readonly<Record<Moment, () => unknown>> = {
    any: () => 0,
    accepted: () => load.sent.accepted,
    prepared: () => lines.findLast(({ msg }) => /^(starting|resuming) session$/u.test(msg)),
    spawned: () => lines.findLast(({ msg }) => msg === "cli started"),
    working: () => recorder.lives.length,
    "on the forge": () => forge.deliveries.findLast(({ eventType }) => EFFECTS.test(eventType))?.id,
    "pull request there": () =>
      forge.deliveries.findLast(({ eventType }) => eventType === "pull_request")?.id,
    "on record": () => lines.findLast(({ msg }) => msg === "effect done"),
    told: () => recorder.lives.reduce((sum, { done }) => sum + done.length, 0),
    ended: () => lines.findLast(({ msg }) => msg === "run ended"),
  };
  const before = probe[moment]();
  const end = performance.now() + MOMENT_MS;
  while (moment !== "any" && probe[moment]() === before && performance.now() < end) {
    await Bun.sleep(1);
    await provide();
  }
}

async function untilAgent(world: ChaosWorld, provide: () => Promise<void>): Promise<void> {
  const end = performance.now() + AGENT_MS;
  while (world.agentsAlive().length === 0 && performance.now() < end) {
    await Bun.sleep(LOOK_MS);
    await provide();
  }
}

/** Has an issue opened when there is nothing to do; it looks only so often. */
function providing(world: ChaosWorld, people: People): () => Promise<void> {
  let lookAt = 0;
  return async () => {
    if (performance.now() < lookAt) return;
    const isIdle = !isBusy(storedIn(world.dir));
    if (isIdle) await people.create();
    lookAt = performance.now() + (isIdle ? IDLE_MS : BUSY_LOOK_MS);
  };
}

function actUntil(world: ChaosWorld, people: People): AsyncDisposable & { end(): Promise<void> } {
  const encourage = encouraging(world, people);
  let isOver = false;
  const acting = (async (): Promise<unknown> => {
    try {
      while (!isOver) {
        await people.act();
        await encourage();
        await Bun.sleep(ACT_MS);
      }
      return null;
    } catch (error) {
      return error;
    }
  })();
  const end = async (): Promise<void> => {
    isOver = true;
    const error = await acting;
    if (error !== null) throw new Error("people could not act", { cause: error });
  };
  return { end, [Symbol.asyncDispose]: end };
}

/** Tells who waits after a failure to go on, once a second at most; true while somebody waits. */
function encouraging(world: ChaosWorld, people: People): () => Promise<boolean> {
  let sayAt = 0;
  return async () => {
    const { parked } = storedIn(world.dir);
    if (parked.length > 0 && performance.now() >= sayAt) {
      sayAt = performance.now() + ENCOURAGE_MS;
      for (const number of parked) await people.encourage(number);
    }
    return parked.length > 0;
  };
}

/** Until everything sent is handled and nothing is left to do; who waits after a failure is told to go on. */
async function untilQuiet(play: {
  readonly world: ChaosWorld;
  readonly people: People;
  readonly stopAt: keyof Counters | null;
  readonly isInTime: () => boolean;
}): Promise<"quiet" | "stopped" | "standing still" | "out of time"> {
  const { world, people, stopAt, isInTime } = play;
  world.load.calm();
  const encourage = encouraging(world, people);
  let last = { trace: "", since: performance.now() };
  while (isInTime()) {
    if (stopAt !== null && LASTING.includes(stopAt)) {
      if (countAll(await evidenceOf(world, people.issues))[stopAt] > 0) return "stopped";
    }
    await world.forge.idle();
    await world.load.idle();
    const { items, marks, leases, trace } = storedIn(world.dir);
    const answered = await people.answer();
    const waits = await encourage();
    if (!isBusy({ items }) && marks === 0 && !waits && !answered) return "quiet";
    if (trace !== last.trace || leases > 0) last = { trace, since: performance.now() };
    if (performance.now() - last.since > STILL_MS) return "standing still";
    await Bun.sleep(SETTLE_LOOK_MS);
  }
  return "out of time";
}

function isBusy({ items }: Pick<Evidence, "items">): boolean {
  return items.some(({ waits, state }) => waits || state === "running" || state === "waiting");
}

function count(figures: Record<string, number>, name: string): void {
  figures[name] = (figures[name] ?? 0) + 1;
}
