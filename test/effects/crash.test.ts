import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { REPO } from "../../demo/scenario/widgets.ts";
import type { ToolAnswer, ToolName } from "../../src/domain/tools.ts";
import { createEffects } from "../../src/run/effects/carry-out.ts";
import { type EffectsWorld, effectsWorld, type Ports } from "./effects-world.ts";
import { JOBS, type ToolJob } from "./jobs.ts";
import { type Fuse, fuse } from "./mortal.ts";

const TOOLS = Object.keys(JOBS) as ToolName[];
const STEPS_MAX = 60;

let world: EffectsWorld;
beforeAll(async () => {
  world = await effectsWorld();
}, 30_000);
afterAll(async () => await world[Symbol.asyncDispose](), 30_000);

/** One attempt, as a run makes it: what is open is looked up, then the tool is called; null: it was killed. */
async function attempt(
  job: ToolJob,
  words: string,
  life: Fuse,
  change?: (ports: Ports) => Ports,
): Promise<ToolAnswer | null> {
  try {
    const context = await world.attempt(job, life, change);
    await job.prepare(context);
    const answer = await createEffects(context).call(job.call(words));
    return life.isBlown ? null : answer;
  } catch (error) {
    if (life.isBlown) return null;
    throw error;
  }
}

const forEver = (): Fuse => fuse(Number.POSITIVE_INFINITY);

describe.each(TOOLS)("%s", (tool) => {
  test("killed at its every step, once and twice in a row, has one effect, all on record, and says what is true", async () => {
    let steps = 0;
    for (let killed = true; killed && steps < STEPS_MAX; ) {
      steps += 1;
      const job = await JOBS[tool](world);
      const first = await attempt(job, "first words", fuse(steps));
      killed = first === null;
      // Every third time the next attempt dies as well, somewhere else.
      if (killed && steps % 3 === 0) await attempt(job, "second words", fuse(1 + (steps % 7)));
      const before = await job.made();
      const last = first ?? (await attempt(job, "last words", forEver()));

      const made = await job.made();
      expect([steps, made.length]).toEqual([steps, 1]);
      expect([steps, last]).toMatchObject([steps, { ok: true }]);
      // Whose words stand there is what the answer says.
      const isFound = last?.text.startsWith("Already there, nothing was written by this call.");
      if (killed && tool !== "hand_in")
        expect([steps, isFound]).toEqual([steps, before.length === 1]);
      if (tool !== "request_merge") {
        const words = first === null ? "last words" : "first words";
        const isOwn = made[0]?.includes(words) === true;
        expect([steps, isOwn]).toEqual([steps, before.length === 0 || !killed]);
      }
      const { effects } = await world.database.store.ledger.read({
        repo: REPO,
        number: job.number,
      });
      const states = effects.filter(({ tool: of }) => of !== "push").map(({ state }) => state);
      expect([steps, states]).toEqual([steps, ["done"]]);
      const onHead = effects.filter(({ tool: of, state }) => of === "push" && state === "done");
      if (job.hasClone) expect([steps, onHead.length]).toEqual([steps, 1]);
    }
    expect(steps).toBeGreaterThan(6);
    expect(steps).toBeLessThan(STEPS_MAX);
  }, 240_000);

  test("called again and again by further attempts stays one effect", async () => {
    const job = await JOBS[tool](world);
    for (const words of ["one", "two", "three"]) {
      expect(await attempt(job, words, forEver())).toMatchObject({ ok: true });
    }
    expect(await job.made()).toHaveLength(1);
  }, 60_000);
});

/** A port whose lists of these names are always empty. */
function without<T extends object>(port: T, names: readonly string[]): T {
  return new Proxy(port, {
    get: (target, name) =>
      names.includes(String(name))
        ? async () => await Promise.resolve([])
        : (Reflect.get(target, name) as unknown),
  });
}

describe("with the look at the forge switched off", () => {
  /** Nothing that this account has written is ever found. */
  const blind = (ports: Ports): Ports => ({
    ...ports,
    reader: without(ports.reader, ["comments", "pullsByBranch"]),
    actor: without(ports.actor, ["reviews"]),
  });
  /** An attempt that dies when its effect is on the forge and its result is not on record; resolves with how many there are. */
  async function lostAnswer(job: ToolJob, from: number): Promise<number> {
    const context = await world.attempt(job, forEver());
    await job.prepare(context);
    const died = new Error("killed before the result was on record");
    const effects = createEffects({
      ...context,
      effects: {
        intend: async (effect) => await context.effects.intend(effect),
        openIntents: async (item) => await context.effects.openIntents(item),
        finish: async (id, end) => {
          if ((await job.made()).length > from) throw died;
          await context.effects.finish(id, end);
        },
      },
    });
    expect(await effects.call(job.call("first words"))).toMatchObject({ ok: false });
    return (await job.made()).length;
  }

  test.each(["reply", "ask_human", "decline_merge", "submit_review", "hand_in"] as const)(
    "%s after a lost answer is there twice, and once with it",
    async (tool) => {
      const counts: number[] = [];
      for (const change of [blind, undefined]) {
        const job = await JOBS[tool](world);
        expect(await lostAnswer(job, 0)).toBe(1);
        expect(await attempt(job, "last words", forEver(), change)).toMatchObject({ ok: true });
        const words = await job.made();
        counts.push(words.filter((text) => text.includes("words")).length);
      }
      expect(counts).toEqual([2, 1]);
    },
    60_000,
  );

  test("open_pull_request after a lost answer opens a second one when a person has closed the first, and none with it", async () => {
    const counts: number[] = [];
    for (const change of [blind, undefined]) {
      const job = await JOBS.open_pull_request(world);
      expect(await lostAnswer(job, 0)).toBe(1);
      const [pull] = await world.client.reader.pullsByBranch(REPO, `boss/${job.number}`);
      await world.api("alice", "PATCH", `/repos/${REPO}/pulls/${pull?.number}`, {
        state: "closed",
        body: "",
      });
      expect(await attempt(job, "last words", forEver(), change)).toMatchObject({ ok: true });
      counts.push((await job.made()).length);
    }
    expect(counts).toEqual([2, 1]);
  }, 60_000);
});
