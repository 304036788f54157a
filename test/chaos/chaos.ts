import { REPO } from "../../demo/scenario/widgets.ts";
import { chanceFrom } from "./chance.ts";
import { type Counters, countAll, type Evidence, storedIn } from "./count.ts";
import { type Issue, type People, peopleOf } from "./people.ts";
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
  "on record",
  "told",
  "ended",
] as const;
type Moment = (typeof MOMENTS)[number];
const EFFECTS = /comment|pull_request/u;
/** How long a moment is waited for while there is work, and how often it is looked whether there is. */
const MOMENT_MS = 4000;
const BUSY_LOOK_MS = 100;

const ACT_MS = 150;
const AGENT_MS = 1500;
const REAL_AGENT_MS = 5000;
const LOOK_MS = 5;
const SETTLE_LOOK_MS = 100;
const SETTLE_MS = 90_000;
const ENCOURAGE_MS = 1000;

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
  /** The same moment for every kill, instead of chance. */
  readonly moment?: Moment;
  /** False: nobody closes an issue. */
  readonly mayClose?: boolean;
  /** Comes to its end as soon as this counter speaks. */
  readonly stopAt?: keyof Counters;
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
  await world.start(true);
  await using acting = actUntil(people);
  const kill = async (kind: Kind): Promise<void> => {
    const { agents, restartMs } = await killOnce(world, kind, chance);
    count(figures, `kills of ${kind}`);
    if (kind !== "agents" && agents > 0) count(figures, "with agents alive");
    figures["restart ms, at most"] = Math.max(figures["restart ms, at most"] ?? 0, restartMs);
  };
  for (; killed < all; killed += 1) {
    const moment = options.moment ?? chance.pick(MOMENTS) ?? "any";
    await untilMoment(world, moment, people.create);
    await Bun.sleep(chance.between(0, moment === "any" ? 300 : 10));
    await kill(kinds[killed % kinds.length] ?? "service");
  }
  note(`${Math.round(performance.now() - began)} ms: killed`);
  if (options.realKills > 0) {
    world.use("real");
    await killOnce(world, "both", chance);
    for (let index = 0; index < options.realKills * kinds.length; index += 1) {
      await people.create();
      await untilAgent(world, REAL_AGENT_MS);
      await Bun.sleep(chance.between(0, 1000));
      await kill(kinds[index % kinds.length] ?? "service");
      count(figures, "kills with the real CLI");
    }
  }
  await acting.end();
  if (options.realKills > 0) {
    world.use("stub");
    await killOnce(world, "both", chance);
  }
  const isQuiet = await untilQuiet(world, people, options.stopAt ?? null);
  note(`${Math.round(performance.now() - began)} ms: ${isQuiet ? "quiet" : "not quiet"}`);
  const evidence = await evidenceOf(world, people.issues);
  return {
    counters: countAll(evidence),
    unfinished: [...(isQuiet ? [] : ["not quiet"]), ...(await unfinishedOf(world, people.issues))],
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
  if (kind === "agents") {
    await untilAgent(world, AGENT_MS);
    return { agents: await world.killAgents(), restartMs: 0 };
  }
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

/** Waits for the moment in which it is to be killed, but not for ever; without work it calls `idle`. */
async function untilMoment(
  world: ChaosWorld,
  moment: Moment,
  idle: () => Promise<void>,
): Promise<void> {
  const { recorder, lines, forge, load } = world;
  const probe: Readonly<Record<Moment, () => unknown>> = {
    any: () => 0,
    accepted: () => load.sent.accepted,
    prepared: () => lines.findLast(({ msg }) => /^(starting|resuming) session$/u.test(msg)),
    spawned: () => lines.findLast(({ msg }) => msg === "cli started"),
    working: () => recorder.lives.length,
    "on the forge": () => forge.deliveries.findLast(({ eventType }) => EFFECTS.test(eventType))?.id,
    "on record": () => lines.findLast(({ msg }) => msg === "effect done"),
    told: () => recorder.lives.reduce((sum, { done }) => sum + done.length, 0),
    ended: () => lines.findLast(({ msg }) => msg === "run ended"),
  };
  const before = probe[moment]();
  const end = performance.now() + MOMENT_MS;
  let lookAt = performance.now() + BUSY_LOOK_MS;
  while (moment !== "any" && probe[moment]() === before && performance.now() < end) {
    await Bun.sleep(1);
    if (performance.now() < lookAt) continue;
    lookAt = performance.now() + BUSY_LOOK_MS;
    if (!isBusy(storedIn(world.dir))) await idle();
  }
}

async function untilAgent(world: ChaosWorld, patienceMs: number): Promise<void> {
  const end = performance.now() + patienceMs;
  while (world.agentsAlive().length === 0 && performance.now() < end) await Bun.sleep(LOOK_MS);
}

function actUntil(people: People): AsyncDisposable & { end(): Promise<void> } {
  let isOver = false;
  const acting = (async () => {
    while (!isOver) {
      await people.act();
      await Bun.sleep(ACT_MS);
    }
  })();
  const end = async (): Promise<void> => {
    isOver = true;
    await acting;
  };
  return { end, [Symbol.asyncDispose]: end };
}

/** Until everything sent is handled and nothing is left to do; who waits after a failure is told to go on. */
async function untilQuiet(
  world: ChaosWorld,
  people: People,
  stopAt: keyof Counters | null,
): Promise<boolean> {
  world.load.calm();
  const end = performance.now() + SETTLE_MS;
  let encouragedAt = 0;
  while (performance.now() < end) {
    if (stopAt !== null && countAll(await evidenceOf(world, people.issues))[stopAt] > 0)
      return false;
    await world.forge.idle();
    await world.load.idle();
    const { items, marks, parked } = storedIn(world.dir);
    const busy = isBusy({ items });
    const answered = await people.answer();
    if (parked.length > 0 && performance.now() - encouragedAt > ENCOURAGE_MS) {
      encouragedAt = performance.now();
      for (const number of parked) await people.encourage(number);
    } else if (!busy && marks === 0 && parked.length === 0 && !answered) return true;
    await Bun.sleep(SETTLE_LOOK_MS);
  }
  return false;
}

function isBusy({ items }: Pick<Evidence, "items">): boolean {
  return items.some(({ waits, state }) => waits || state === "running" || state === "waiting");
}

interface Pull {
  readonly number: number;
  readonly body: string;
  readonly merged: boolean;
  readonly user: { readonly login: string };
  readonly head: { readonly ref: string };
}
interface Text {
  readonly body: string;
  readonly user: { readonly login: string };
}

async function evidenceOf(world: ChaosWorld, issues: readonly Issue[]): Promise<Evidence> {
  const { load, recorder, overlaps } = world;
  const pulls = await pullsOf(world);
  const texts: Text[] = [...pulls];
  for (const { number } of pulls) {
    texts.push(...(await all<Text>(world, `/repos/${REPO}/pulls/${number}/reviews`)));
  }
  for (const { number } of [...pulls, ...issues]) {
    texts.push(...(await all<Text>(world, `/repos/${REPO}/issues/${number}/comments`)));
  }
  return {
    ...storedIn(world.dir),
    answers: load.answers,
    lives: recorder.lives,
    overlaps: [...recorder.overlaps, ...overlaps],
    pulls: pulls.map(({ body }) => ({ item: itemOf(body) })),
    texts: texts.map(({ body, user }) => ({ author: user.login, body })),
  };
}

/** Every open issue that no agent declined must be done: nobody else will bring it to its end. */
async function unfinishedOf(
  world: ChaosWorld,
  issues: readonly Issue[],
): Promise<readonly string[]> {
  const pulls = await pullsOf(world);
  const { items } = storedIn(world.dir);
  return issues.flatMap(({ number, closed }) => {
    const merged = pulls.some((pull) => itemOf(pull.body) === number && pull.merged);
    const state = items.find((item) => item.number === number);
    if (closed || merged || state?.decision.includes("declined") === true) return [];
    if (number % 4 === 3) return [];
    return [`#${number}: ${state?.state ?? "unknown"}, ${state?.decision ?? ""}`];
  });
}

async function pullsOf(world: ChaosWorld): Promise<readonly Pull[]> {
  const pulls = await all<Pull>(world, `/repos/${REPO}/pulls?state=all`);
  return pulls.filter(({ user }) => user.login === "boss");
}

/** Page by page; the comments of an issue come all at once, whatever page is asked for. */
async function all<T>({ api }: ChaosWorld, path: string): Promise<readonly T[]> {
  if (path.endsWith("/comments")) return (await api("alice", "GET", path)) as T[];
  const rows: T[] = [];
  for (let page = 1; ; page += 1) {
    const mark = path.includes("?") ? "&" : "?";
    const found = (await api("alice", "GET", `${path}${mark}limit=50&page=${page}`)) as T[];
    rows.push(...found);
    if (found.length < 50) return rows;
  }
}

function itemOf(body: string): number {
  return Number(/Closes #(\d+)/u.exec(body)?.[1] ?? "0");
}

function count(figures: Record<string, number>, name: string): void {
  figures[name] = (figures[name] ?? 0) + 1;
}
