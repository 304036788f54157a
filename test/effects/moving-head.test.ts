import { afterAll, beforeAll, expect, test } from "bun:test";
import { REPO } from "../../demo/scenario/widgets.ts";
import type { ToolAnswer } from "../../src/domain/tools.ts";
import { createEffects } from "../../src/run/effects/carry-out.ts";
import { type EffectsWorld, effectsWorld, type Ports } from "./effects-world.ts";
import { JOBS } from "./jobs.ts";

/** More calls than one merge makes; the test checks that the last ones came too late to matter. */
const CALLS_MAX = 14;

let world: EffectsWorld;
beforeAll(async () => {
  world = await effectsWorld();
}, 30_000);
afterAll(async () => await world[Symbol.asyncDispose](), 30_000);

/** What a merge came to whose pull request got another head before the n-th call to forge or git. */
interface Attempt {
  readonly answer: ToolAnswer;
  /** Whether there was an n-th call. */
  readonly moved: boolean;
  /** The call before which it moved. */
  readonly before: string;
  readonly merged: boolean;
  /** What nobody approved is on the base branch. */
  readonly unapproved: boolean;
}

/** Calls `hit` before each call; which one it is, is told by its name. */
function counted<T extends object>(port: T, hit: (name: string) => Promise<void>): T {
  return new Proxy(port, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== "function" || name === "clockOffset") return value;
      return async (...given: unknown[]): Promise<unknown> => {
        await hit(String(name));
        return await Reflect.apply(value, target, given);
      };
    },
  });
}

async function isOnBase(path: string): Promise<boolean> {
  const found = await world.api("alice", "GET", `/repos/${REPO}/contents/${path}?ref=main`).then(
    () => true,
    (error: unknown) => {
      if (String(error).includes(": 404")) return false;
      throw error;
    },
  );
  return found;
}

async function mergeWhileMoving(
  n: number,
  weaken: (ports: Ports) => Ports = (same) => same,
): Promise<Attempt> {
  const job = await JOBS.request_merge(world);
  const path = `unapproved-${job.number}.md`;
  let left = Number.POSITIVE_INFINITY;
  let before = "";
  const hit = async (name: string): Promise<void> => {
    left -= 1;
    if (left !== 0) return;
    before = name;
    await world.personPushes(`boss/${job.number}`, { [path]: "nobody has seen this\n" });
  };
  const context = await world.attempt(job, undefined, (ports) => {
    const { reader, actor, git, look } = weaken(ports);
    return {
      ...ports,
      reader: counted(reader, hit),
      actor: counted(actor, hit),
      git: counted(git, hit),
      look: async () => {
        await hit("look");
        return await look();
      },
    };
  });
  left = n;
  const answer = await createEffects(context).call(job.call("Good."));
  await world.forge.idle();
  const merged = (await job.made()).length > 0;
  return { answer, moved: left <= 0, before, merged, unapproved: await isOnBase(path) };
}

test("whenever the head moves between approval and merge, nothing unapproved is merged", async () => {
  const attempts: Attempt[] = [];
  for (let n = 1; n <= CALLS_MAX; n += 1) attempts.push(await mergeWhileMoving(n));

  expect(attempts.filter(({ unapproved }) => unapproved)).toEqual([]);
  for (const { answer, moved, merged } of attempts) {
    // Moved in time: refused. Moved afterwards, or not at all: merged as it was approved.
    expect(answer.ok).toBe(merged);
    if (!moved) expect(merged).toBe(true);
  }
  const stopped = attempts.filter(({ merged }) => !merged);
  const places = new Set(stopped.map(({ before }) => before));
  // It was stopped by the look of the gate, by git's count of the change, and by the forge itself.
  expect([...places]).toEqual(expect.arrayContaining(["look", "change", "merge"]));
  expect(attempts.at(-1)?.moved).toBe(false);
}, 120_000);

test("control: without the head in the request, what moved in the last moment is merged", async () => {
  const forgetful = (ports: Ports): Ports => ({
    ...ports,
    actor: {
      ...ports.actor,
      login: ports.actor.login,
      merge: async (repo, pull, order) => {
        const { headSha } = await world.client.reader.pull(repo, pull);
        return await world.client.actor("code-lead").merge(repo, pull, { ...order, headSha });
      },
    },
  });
  const attempts: Attempt[] = [];
  for (let n = 1; n <= CALLS_MAX; n += 1) {
    attempts.push(await mergeWhileMoving(n, forgetful));
    if (attempts.at(-1)?.unapproved) break;
  }
  expect(attempts.at(-1)).toMatchObject({ merged: true, unapproved: true });
}, 120_000);
