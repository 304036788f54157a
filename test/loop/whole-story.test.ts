import { expect, test } from "bun:test";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { respondToWidgets } from "../../demo/model/widgets-script.ts";
import type { LogLine } from "../../demo/scenario/service.ts";
import { createHook, ISSUE, REPO } from "../../demo/scenario/widgets.ts";
import { startWorld, type World } from "../../demo/scenario/world.ts";

const PATIENCE_MS = 60_000;
const RUNS = [
  "boss implement succeeded",
  "reviewer review succeeded",
  "boss address-review succeeded",
  "reviewer review succeeded",
  "code-lead merge succeeded",
];

/** The story of the demo; `prepare` may break the way of the webhooks before it begins. */
async function playStory(
  sweepSeconds: number,
  prepare: (world: World) => Promise<AsyncDisposable | undefined>,
): Promise<{ lines: readonly LogLine[]; state: unknown; deliveries: number }> {
  const dir = await mkdtemp(join(tmpdir(), "ch-whole-"));
  const lines: LogLine[] = [];
  const world = await startWorld({
    dir,
    modelKey: "sk-scripted-model",
    sandbox: "bwrap",
    sweepSeconds,
    respond: respondToWidgets,
    onLog: (line) => lines.push(line),
  }).catch(async (error: unknown) => {
    await rm(dir, { recursive: true, force: true });
    throw error;
  });
  try {
    await using _ = await prepare(world);
    await world.api("alice", "POST", `/repos/${REPO}/issues`, { ...ISSUE, assignees: ["boss"] });
    const end = performance.now() + PATIENCE_MS;
    while (!(await isOver(world, lines))) {
      if (performance.now() > end) throw new Error(`the story did not end: ${tail(lines)}`);
      await Bun.sleep(50);
    }
    await world.forge.idle();
    return { lines, state: await stateOf(world), deliveries: world.forge.deliveries.length };
  } finally {
    await world.stop();
    await rm(dir, { recursive: true, force: true });
  }
}

/** What the story leaves on the forge, without ids and times. */
async function stateOf({ api, service }: World): Promise<unknown> {
  const [issue, pulls, branches, comments, reviews, left] = await Promise.all([
    api("alice", "GET", `/repos/${REPO}/issues/1`) as Promise<{ state: string }>,
    api("alice", "GET", `/repos/${REPO}/pulls?state=all`) as Promise<{ merged: boolean }[]>,
    api("alice", "GET", `/repos/${REPO}/branches`) as Promise<{ name: string }[]>,
    api("alice", "GET", `/repos/${REPO}/issues/1/comments`) as Promise<unknown[]>,
    api("alice", "GET", `/repos/${REPO}/pulls/2/reviews`) as Promise<{ state: string }[]>,
    readdir(join(service.stateDir, "work", REPO)).catch(() => []),
  ]);
  return {
    issue: issue.state,
    merged: pulls.map(({ merged }) => merged),
    branches: branches.map(({ name }) => name),
    comments: comments.length,
    reviews: reviews.map(({ state }) => state).filter((state) => state !== "REQUEST_REVIEW"),
    clones: left.length,
  };
}

async function isOver(world: World, lines: readonly LogLine[]): Promise<boolean> {
  if (!lines.some(({ msg }) => msg === "cleaned up")) return false;
  const { clones, branches } = (await stateOf(world)) as { clones: number; branches: string[] };
  return clones === 0 && branches.length === 1;
}

const tail = (lines: readonly LogLine[]): string =>
  lines
    .slice(-10)
    .map((line) => JSON.stringify(line))
    .join("\n");

const runsOf = (lines: readonly LogLine[]): readonly string[] =>
  lines
    .filter(({ msg }) => msg === "run ended")
    .map((line) => `${line["agent"]} ${line["skill"]} ${line["outcome"]}`);

const END = {
  issue: "closed",
  merged: [true],
  branches: ["main"],
  comments: 0,
  reviews: ["REQUEST_CHANGES", "COMMENT", "APPROVED"],
  clones: 0,
};

test("with every webhook dropped the whole story is played by sweeps alone", async () => {
  const { lines, state, deliveries } = await playStory(0.5, async (world) => {
    world.forge.faults.dropWebhooks(Number.POSITIVE_INFINITY);
    return undefined;
  });

  expect(runsOf(lines)).toEqual(RUNS);
  expect(state).toEqual(END);
  expect(lines.filter(({ msg }) => msg === "delivery")).toEqual([]);
  expect(deliveries).toBeGreaterThan(5);
}, 90_000);

test("with every webhook doubled, late and out of order the story ends the same with the same runs", async () => {
  let passed = 0;
  const { lines, state } = await playStory(60, async (world) => {
    const late: Promise<void>[] = [];
    const post = async (request: Request, body: ArrayBuffer): Promise<void> => {
      await Bun.sleep(Math.random() * 400);
      const { webhook } = world.service;
      // A connection that is used again may be closed just then, which the forge would not forgive either.
      const headers = { ...Object.fromEntries(request.headers), connection: "close" };
      await fetch(webhook, { method: "POST", headers, body });
      passed += 1;
    };
    const shuffler = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: async (request) => {
        const body = await request.arrayBuffer();
        late.push(post(request, body), post(request, body));
        return new Response(null, { status: 202 });
      },
    });
    const { api, serviceOptions } = world;
    const hooks = (await api("alice", "GET", `/repos/${REPO}/hooks`)) as { id: number }[];
    for (const { id } of hooks) await api("alice", "DELETE", `/repos/${REPO}/hooks/${id}`);
    await createHook(api, `http://127.0.0.1:${shuffler.port}/`, serviceOptions.webhookSecret);
    return {
      [Symbol.asyncDispose]: async () => {
        await Promise.allSettled(late);
        await shuffler.stop(true);
      },
    };
  });

  expect(runsOf(lines)).toEqual(RUNS);
  expect(state).toEqual(END);
  expect(passed).toBeGreaterThan(20);
  const answers = lines.filter(({ msg }) => msg === "delivery").map(({ status }) => status);
  expect(answers).toContain("duplicate");
}, 90_000);
