import { chanceFrom } from "./chance.ts";
import { type Counters, countAll, type Evidence, explain, wentElsewhere } from "./count.ts";
import { evidenceOf, unfinishedOf } from "./evidence.ts";
import { KINDS, type Kind, killOnce } from "./kill.ts";
import {
  MOMENTS,
  type Moment,
  providing,
  untilAgent,
  untilHalfDone,
  untilMoment,
} from "./moments.ts";
import type { ChaosService } from "./one-service.ts";
import { type People, peopleOf } from "./people.ts";
import { actUntil, type Quiet, startAllAnew, untilQuiet } from "./quiet.ts";
import type { Weakness } from "./weaken.ts";
import { type ChaosWorld, chaosWorld } from "./world.ts";

const STEP_MS = 120;
const ABSENCES_MAX = 3;
/** An end comes in any case: as "out of time" among what is unfinished. */
const PLAY_MS = 480_000;

export interface ChaosOptions {
  readonly seed: number;
  /** Kills of each kind with the stub in the CLI's place. */
  readonly kills: number;
  /** Further kills of each kind with the real CLI. */
  readonly realKills: number;
  readonly issues: number;
  /** Address of an empty PostgreSQL database: two services share it, and are killed in turn. */
  readonly database?: string;
  readonly weakness?: Weakness;
  readonly sandbox?: "bwrap" | "none";
  readonly deaf?: boolean;
  /** The longest pause between two steps of the stub, in milliseconds. */
  readonly stepMs?: number;
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
  /** Which runs the counters speak of. */
  readonly faults: readonly string[];
  /** How much there was of everything. */
  readonly figures: Readonly<Record<string, number>>;
}

/** What all parts of one run of the chaos share. */
interface Play {
  readonly options: ChaosOptions;
  readonly world: ChaosWorld;
  readonly people: People;
  readonly chance: ReturnType<typeof chanceFrom>;
  readonly figures: Record<string, number>;
  readonly provide: () => Promise<void>;
  readonly isInTime: () => boolean;
  /** Of each service: until it is up again after its last kill, with the milliseconds it took. */
  readonly up: Map<ChaosService, Promise<number>>;
  readonly counting: { killed: number };
  readonly note: (words: string) => void;
}

/** Plays one run of the chaos: load, people and kills at once, then quiet, then the counting. */
export async function playChaos(options: ChaosOptions): Promise<ChaosResult> {
  const began = performance.now();
  const end = began + (options.playMs ?? PLAY_MS);
  const note = (words: string): void =>
    options.onNote?.(`${Math.round(performance.now() - began)} ms: ${words}`);
  await using world = await chaosWorld({
    chance: chanceFrom(options.seed + 1),
    weakness: options.weakness ?? null,
    sandbox: options.sandbox ?? "bwrap",
    deaf: options.deaf ?? false,
    stepMs: options.stepMs ?? STEP_MS,
    database: options.database ?? null,
  });
  const counting = { killed: 0 };
  const all = options.kills * (options.kinds ?? KINDS).length;
  const people = peopleOf(world, chanceFrom(options.seed + 2), {
    // Spread over the kills, so that there is work to be killed at all times.
    issuesMax: () => Math.ceil(options.issues * Math.min(1, (counting.killed + 4) / (all + 1))),
    mayClose: options.mayClose ?? true,
  });
  const play: Play = {
    ...{ options, world, people, counting, note },
    chance: chanceFrom(options.seed),
    figures: {},
    provide: providing(world, people),
    isInTime: () => performance.now() < end,
    up: new Map(),
  };
  for (const service of world.services) await service.start(true);
  await using acting = actUntil(world, people);
  await killAll(play, all);
  note("killed");
  await killReal(play);
  await acting.end();
  for (const service of world.services) await isUp(play, service);
  if (options.realKills > 0) await swap(play, "stub");
  note("no more kills");
  const quiet = await comeToRest(play);
  note(quiet);
  const evidence = await evidenceOf(world, people.issues);
  return {
    counters: countAll(evidence),
    unfinished: [
      ...(quiet === "quiet" ? [] : [quiet]),
      ...(await unfinishedOf(world, people.issues)),
    ],
    faults: explain(evidence),
    figures: {
      ...figuresOf(play, evidence),
      seconds: Math.round((performance.now() - began) / 1000),
    },
  };
}

/** Kills between two lines that tell how far it is. */
const NOTE_EVERY = 30;

async function killAll(play: Play, all: number): Promise<void> {
  const { options, world, chance, provide, counting, isInTime } = play;
  const kinds = options.kinds ?? KINDS;
  while (counting.killed < all && isInTime()) {
    const { killed } = counting;
    // Every kind meets every moment, whatever the seed, and of two services each in turn every kind.
    const turn = Math.floor(killed / kinds.length) + options.seed;
    const moment = options.moment ?? MOMENTS[turn % MOMENTS.length] ?? "any";
    const kind = kinds[killed % kinds.length] ?? "service";
    const of = inTurn(world, killed);
    await isUp(play, of);
    await untilMoment(world, { of, moment, provide });
    await Bun.sleep(chance.between(0, moment === "any" ? 300 : 10));
    // Agents that were gone before they could be killed are no kill.
    if ((await kill(play, of, kind)) === 0 && kind === "agents") continue;
    counting.killed += 1;
    if (counting.killed % NOTE_EVERY === 0) play.note(`${counting.killed} of ${all} kills`);
  }
}

async function killReal(play: Play): Promise<void> {
  const { options, world, chance, provide, figures, isInTime } = play;
  if (options.realKills === 0) return;
  const kinds = options.kinds ?? KINDS;
  await swap(play, "real");
  for (let met = 0; met < options.realKills * kinds.length && isInTime(); ) {
    const of = inTurn(world, met);
    await isUp(play, of);
    await untilAgent(of, provide);
    await Bun.sleep(chance.between(0, 1000));
    if ((await kill(play, of, kinds[met % kinds.length] ?? "service")) > 0) met += 1;
    figures["kills of the real CLI"] = met;
  }
}

/** The services go on with another CLI. */
async function swap(play: Play, cli: "stub" | "real"): Promise<void> {
  const { world, chance, up } = play;
  for (const service of world.services) await isUp(play, service);
  world.use(cli);
  for (const service of world.services) {
    up.set(service, (await killOnce(service, "both", chance)).up);
    await isUp(play, service);
  }
}

/** Kills a service, its agents or both; resolves with how many agents were alive. */
async function kill(play: Play, of: ChaosService, kind: Kind): Promise<number> {
  const { options, world, people, chance, figures, provide, up } = play;
  if (kind === "agents") await untilAgent(of, provide);
  const killed = await killOnce(of, kind, chance);
  const { agents } = killed;
  if (kind !== "agents") up.set(of, killed.up);
  // Before it is up again: it might go on with the open one.
  if (options.closesPulls === true) await people.closePulls();
  // Of two the other one goes on meanwhile, and may be killed before this one is up.
  if (world.services.length === 1) await isUp(play, of);
  if (kind === "agents" && agents === 0) return 0;
  count(figures, `kills of ${kind}`);
  if (world.services.length > 1) count(figures, `kills at the ${of.name}`);
  if (kind !== "agents" && agents > 0) count(figures, `of ${kind}, with agents alive`);
  return agents;
}

async function isUp({ up, figures }: Play, service: ChaosService): Promise<void> {
  const restartMs = (await up.get(service)) ?? 0;
  figures["restart ms, at most"] = Math.max(figures["restart ms, at most"] ?? 0, restartMs);
}

/** With two services so that in six kills each meets every kind. */
function inTurn({ services }: ChaosWorld, turn: number): ChaosService {
  return services[turn % services.length] ?? services[0];
}

/** Until all is done. Of two services each then begins anew, and one dies over its work and stays away. */
async function comeToRest(play: Play): Promise<Quiet> {
  const { options, world, people, isInTime, note } = play;
  if (world.services.length === 1 || options.weakness !== undefined) return await untilDone(play);
  const swept = await startAllAnew(world);
  if (swept !== "quiet") return swept;
  note("all of them anew");
  let came: Quiet = "quiet";
  for (let round = 0; round < ABSENCES_MAX && came === "quiet" && isInTime(); round += 1) {
    came = await beWithout(play);
    // None: the moment was missed, and it had done what it was killed over, or nothing of it.
    const { remembered, afterLease } = wentElsewhere(await evidenceOf(world, people.issues));
    if (remembered > 0 && afterLease > 0) break;
  }
  return came;
}

async function untilDone({ world, people, options, isInTime }: Play): Promise<Quiet> {
  return await untilQuiet({ world, people, stopAt: options.stopAt ?? null, isInTime });
}

/** One dies in the middle of its work and comes back when the other one has done it. */
async function beWithout(play: Play): Promise<Quiet> {
  const gone = (await untilHalfDone(play.world, play.provide)) ?? play.world.services[0];
  await gone.kill();
  gone.leave();
  play.note(`the ${gone.name} is away`);
  const without = await untilDone(play);
  await gone.start(true);
  return without === "quiet" ? await untilDone(play) : without;
}

function figuresOf({ world, people, figures }: Play, evidence: Evidence): Record<string, number> {
  const { load, recorder, services } = world;
  const { resumed, remembered, afterLease } = wentElsewhere(evidence);
  const started = services.map(({ name, runs }) => [`runs at the ${name}`, runs.size] as const);
  return {
    ...figures,
    deliveries: load.sent.all,
    duplicates: load.sent.duplicates,
    unanswered: load.sent.unanswered,
    accepted: [...load.answers.values()].filter(({ statuses }) => statuses.includes(202)).length,
    issues: people.issues.length,
    runs: evidence.runs.length,
    "starts of the stub": recorder.lives.length,
    "pull requests": evidence.pulls.length,
    "texts of agents": evidence.texts.length,
    ...(services.length === 1
      ? {}
      : {
          ...Object.fromEntries(started),
          "duplicates at the other service": load.sent.elsewhere,
          "sessions resumed elsewhere": resumed,
          "with the words from there": remembered,
          "after its lease ran out": afterLease,
        }),
  };
}

function count(figures: Record<string, number>, name: string): void {
  figures[name] = (figures[name] ?? 0) + 1;
}
