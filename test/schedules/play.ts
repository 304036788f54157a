import { join } from "node:path";
import { createForge, type ForgeClient } from "../../src/forge/create-forge.ts";
import { createIntake, type Intake } from "../../src/intake/create-intake.ts";
import type { Log } from "../../src/ports/observe.ts";
import type { Store } from "../../src/ports/store.ts";
import type { RunDependencies } from "../../src/run/dependencies.ts";
import { executeRun } from "../../src/run/execute-run.ts";
import { openStore } from "../../src/store/open-store.ts";
import type { WorkDependencies } from "../../src/work/dependencies.ts";
import { oneAtATime } from "../../src/work/one-at-a-time.ts";
import { createSnapshotReader } from "../../src/work/read-snapshot.ts";
import { reconcile } from "../../src/work/reconcile.ts";
import { resolveMarks } from "../../src/work/resolve-marks.ts";
import { sweep } from "../../src/work/sweep.ts";
import { policyWith } from "../support/world.ts";
import {
  dropSessions,
  idleParts,
  OPEN_GATES,
  scriptedAgent,
  scriptedGit,
} from "./scripted-parts.ts";
import { AGENTS, SECRET, type Sent, type StoryForge } from "./story-forge.ts";

/** One thing that happens between two steps of the service. `which` picks among the webhooks under way. */
export type Event =
  | { readonly kind: "deliver" | "double" | "twin" | "drop"; readonly which: number }
  | { readonly kind: "sweep" | "restart" | "nothing" };

/** What a story has left behind. */
export interface Outcome {
  readonly runs: readonly string[];
  readonly forge: unknown;
  readonly sessions: number;
  /** How often each kind of event had something to happen to. */
  readonly happened: Readonly<Record<string, number>>;
}

const OWNER = "me";
const LEASE_MS = 30_000;
const STEPS_MAX = 400;
const SWEEPS_MAX = 12;
const MINUTE_MS = 60_000;

/**
 * Plays the story of one issue with the real intake, store, sweep, reconcile, runs and effects on an
 * embedded forge. After every step of the service, and before and after every effect, the next event
 * of the schedule happens. When the schedule is over nothing arrives any more, and sweeps bring the
 * story to its end; then whatever was under way all the time arrives, late.
 */
export async function play(forge: StoryForge, schedule: readonly Event[]): Promise<Outcome> {
  const repo = await forge.story();
  const service = await startService(forge, repo);
  const sent = forge.sent(repo);
  const happened: Record<string, number> = {};
  let next = 0;

  const deliver = async ({ headers, body }: Sent, change: object = {}): Promise<number> => {
    const all = new Headers({ ...Object.fromEntries(headers), ...change });
    const request = new Request("http://127.0.0.1/webhook", { method: "POST", headers: all, body });
    return (await service.life().intake(request)).status;
  };
  const happen = async (mayRestart: boolean): Promise<void> => {
    const event = schedule[next];
    next += 1;
    if (event === undefined || event.kind === "nothing") return;
    if (event.kind === "restart" && !mayRestart) return;
    if ("which" in event) {
      const [one] = sent.length === 0 ? [] : sent.splice(event.which % sent.length, 1);
      if (one === undefined) return;
      if (event.kind !== "drop") await deliver(one);
      if (event.kind === "double") await deliver(one);
      if (event.kind === "twin") {
        await deliver(one, { "x-forgejo-delivery": crypto.randomUUID() });
      }
    } else if (event.kind === "sweep") await sweep(service.life().work);
    else await service.restart();
    happened[event.kind] = (happened[event.kind] ?? 0) + 1;
  };
  service.betweenEffects(async () => await happen(false));

  /** Works until nothing is due; the clock moves on where something waits for a time. */
  const settle = async (): Promise<void> => {
    for (let step = 0; step < STEPS_MAX; step += 1) {
      const { store, work, runs } = service.life();
      await resolveMarks(work);
      const claim = await store.work.claimReconcile(OWNER, LEASE_MS);
      if (claim !== null) await reconcile(claim, work);
      const limits = { runs: 4, runsPerAgent: 2 };
      const order = await store.work.claimRun(OWNER, LEASE_MS, limits);
      if (order !== null) await executeRun(order, runs, new AbortController().signal);
      await forge.idle();
      if (next < schedule.length) {
        await happen(true);
        continue;
      }
      if (claim !== null || order !== null) continue;
      const due = await store.work.nextDue();
      const wait = due === null ? Number.POSITIVE_INFINITY : due - forge.now();
      if (wait > MINUTE_MS) return;
      forge.clock.offset += Math.max(1, wait);
    }
    throw new Error("the service does not come to rest");
  };

  try {
    await settle();
    for (let turn = 0; turn < SWEEPS_MAX && !(await isOver(forge, repo)); turn += 1) {
      forge.clock.offset += MINUTE_MS;
      await sweep(service.life().work);
      await settle();
    }
    while (sent.length > 0) {
      const late = sent.shift();
      if (late !== undefined) await deliver(late);
      await settle();
    }
    const { store } = service.life();
    const { rows } = await store.runs.list(100, null);
    return {
      runs: rows.toReversed().map((run) => `${run.agent} ${run.skill} ${run.outcome}`),
      forge: await stateOf(forge, repo),
      sessions: await store.sessions.count(),
      happened,
    };
  } finally {
    await service.life().store.close();
  }
}

async function isOver(forge: StoryForge, repo: string): Promise<boolean> {
  const branches = (await forge.api("alice", "GET", `/repos/${repo}/branches`)) as unknown[];
  const issue = (await forge.api("alice", "GET", `/repos/${repo}/issues/1`)) as { state: string };
  return issue.state === "closed" && branches.length === 1;
}

/** What the forge shows, without ids and times. */
async function stateOf(forge: StoryForge, repo: string): Promise<unknown> {
  const get = async (path: string) => await forge.api("alice", "GET", `/repos/${repo}${path}`);
  const issue = (await get("/issues/1")) as { state: string };
  const pulls = (await get("/pulls?state=all")) as { number: number; merged: boolean }[];
  const reviews = (await get("/pulls/2/reviews")) as { state: string; user: { login: string } }[];
  return {
    issue: issue.state,
    pulls: pulls.map(({ number, merged }) => `${number} ${merged ? "merged" : "not merged"}`),
    branches: ((await get("/branches")) as { name: string }[]).map(({ name }) => name),
    comments: [
      ...((await get("/issues/1/comments")) as unknown[]),
      ...((await get("/issues/2/comments")) as unknown[]),
    ].length,
    reviews: reviews
      .filter(({ state }) => state !== "REQUEST_REVIEW")
      .map(({ state, user }) => `${user.login} ${state}`),
  };
}

interface Life {
  readonly store: Store;
  readonly work: WorkDependencies;
  readonly runs: RunDependencies;
  readonly intake: Intake;
}

async function startService(forge: StoryForge, repo: string) {
  const path = join(forge.dir, `${repo.replace("/", "-")}.db`);
  let between: () => Promise<void> = async () => undefined;
  const client = clientOf(forge);
  const heads = new Map<string, string>();
  const agent = scriptedAgent(forge, heads, async () => await between());
  const git = scriptedGit(forge, heads);
  const start = async (): Promise<Life> => {
    const store = await openStore({ path, now: forge.now });
    await store.work.reap(OWNER);
    return lifeOf({ forge, repo, store, client, agent, git });
  };
  let life = await start();
  return {
    life: () => life,
    betweenEffects: (does: () => Promise<void>) => {
      between = does;
    },
    restart: async () => {
      await life.store.close();
      life = await start();
    },
  };
}

const ignore = () => undefined;
const LOG: Log = {
  debug: ignore,
  info: ignore,
  warn: ignore,
  error: (...text) => {
    if (process.env["SCHEDULE_LOG"] === "1") console.error(...text);
  },
};

function clientOf(forge: StoryForge): ForgeClient {
  return createForge({
    url: forge.url,
    kind: "forgejo",
    agents: AGENTS.map((name) => ({
      name,
      login: name,
      token: () => forge.tokens.get(name) ?? "",
    })),
    readerAgent: "boss",
    now: forge.now,
    requestsPerSecond: 100_000,
    log: LOG,
  });
}

function lifeOf(parts: {
  forge: StoryForge;
  repo: string;
  store: Store;
  client: ForgeClient;
  agent: RunDependencies["agent"];
  git: RunDependencies["git"];
}): Life {
  const { forge, repo, store, client, agent, git } = parts;
  const story = policyWith({ repo });
  const policy = (name: string) => (name === repo ? story : null);
  const readSnapshot = createSnapshotReader({ reader: client.reader, store, policy });
  const metrics = new Proxy({}, { get: () => ignore }) as WorkDependencies["metrics"];
  const common = {
    ...{ forge: client, git, store, readSnapshot, gates: OPEN_GATES, metrics, log: LOG },
    ...{ now: forge.now, chance: () => 0.5, pausedByFile: () => false },
    audit: { append: ignore },
  };
  const work = {
    ...common,
    sweepReader: client.sweepReader,
    policy,
    policies: () => [story],
    agents: () => story.agents,
    dropSessions: async (item) => await dropSessions(store, item.repo, item.number),
  } satisfies WorkDependencies;
  const runs = {
    ...common,
    ...idleParts(),
    agent,
    sessionsChanged: ignore,
    repository: (name) =>
      name === repo ? { policy: story, setup: null, network: [], read: [] } : null,
    agentSettings: (name) => ({
      ...{ model: "m", modelGate: "model", tools: "none" },
      identity: { name, email: `${name}@example.org` },
    }),
    sessionHome: (item, name) => join(forge.dir, "homes", item.repo, name),
    oneMerge: oneAtATime(),
    newId: () => crypto.randomUUID(),
    newFence: () => "0123456789abcdef",
    processes: {
      identify: () => null,
      isAlive: () => false,
      end: async () => undefined,
      endTagged: async () => 0,
    },
    secrets: { holds: () => false },
  } satisfies RunDependencies;
  const intake = createIntake({
    kind: "forgejo",
    path: "/webhook",
    secrets: () => [Buffer.from(SECRET)],
    bodyBytes: 2_097_152,
    queueLimit: 10_000,
    waiting: () => 0,
    agents: () => story.agents,
    concerns: (name) => name === repo,
    deliveries: store.deliveries,
    now: forge.now,
    metrics: { delivery: ignore },
    audit: { append: ignore },
    log: LOG,
  });
  return { store, work, runs, intake };
}
