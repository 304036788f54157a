import { describe, expect, test } from "bun:test";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { layOutTranscript } from "../../src/agent/lay-out-transcript.ts";
import { MIRROR_LIMITS, openTranscriptMirror } from "../../src/agent/transcript-mirror.ts";
import type { TranscriptStore } from "../../src/ports/transcripts.ts";
import { type TranscriptWorld, transcriptWorld } from "../support/transcript-world.ts";

const ID = "0b0e7f0e-6a4f-4a53-8f0e-0123456789ab";
const KEY = { session: "boss:acme/widgets#1", id: ID };
const HOLDER = { owner: "host-1", fence: 1 };
const OF = { projectKey: "-clone", sessionId: ID };
const QUICK = { ...MIRROR_LIMITS, attemptMs: 40, backoffMs: 1, attempts: 4, closeMs: 400 };
const entry = (n: number) => ({ type: "user", uuid: `u${n}`, n });

function mirrorOf(
  world: TranscriptWorld,
  append: TranscriptStore["append"] = world.store.append,
  limits = QUICK,
  holdsLease = () => true,
) {
  let last = 0;
  const newEntryId = () => {
    last += 1;
    return `own:${last}`;
  };
  const transcripts = { ...world.store, append };
  const { log } = world;
  const holder = HOLDER;
  return openTranscriptMirror({
    transcripts,
    key: KEY,
    holder,
    holdsLease,
    newEntryId,
    limits,
    log,
  });
}

/** A world in which HOLDER may write. */
async function taken(): Promise<TranscriptWorld> {
  const world = await transcriptWorld();
  await world.store.take(KEY.session, HOLDER);
  return world;
}

const numbers = async (world: TranscriptWorld) =>
  (await world.all(KEY)).map((text) => /"n":(\d+)/.exec(text)?.[1]).join(" ");

describe("the mirror of a transcript", () => {
  test("writes every line in order, and one that is told twice once", async () => {
    await using world = await taken();
    const mirror = mirrorOf(world);

    await mirror.sessionStore.append(OF, [entry(1), { type: "mode", n: 2 }]);
    await mirror.sessionStore.append(OF, [entry(3), entry(1)]);
    await mirror.sessionStore.append(OF, [{ type: "mode", n: 4 }, entry(3)]);
    await mirror.close();

    expect(await numbers(world)).toBe("1 2 3 4");
    expect(world.warnings).toEqual([]);
  });

  test.each([
    ["an append fails before it is done", false],
    ["an append is done, but its answer is lost", true],
  ])("doubles and loses nothing when %s", async (_what, isDone) => {
    await using world = await taken();
    let calls = 0;
    const mirror = mirrorOf(world, async (...args) => {
      calls += 1;
      const isLost = calls % 3 !== 0;
      const added = isLost && !isDone ? 0 : await world.store.append(...args);
      if (isLost) throw new Error("connection reset");
      return added;
    });

    for (let n = 1; n <= 5; n += 1) {
      await mirror.sessionStore.append(OF, [entry(2 * n - 1), { type: "mode", n: 2 * n }]);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await mirror.close();

    expect(await numbers(world)).toBe("1 2 3 4 5 6 7 8 9 10");
    expect(calls).toBeGreaterThan(2);
    expect(world.warnings).toEqual([]);
  });

  test("tries a failing append a bounded number of times and leaves no gap: nothing after it is written", async () => {
    await using world = await taken();
    let calls = 0;
    let isDown = false;
    const mirror = mirrorOf(world, async (...args) => {
      if (!isDown) return await world.store.append(...args);
      calls += 1;
      throw new Error("connection refused");
    });
    await mirror.sessionStore.append(OF, [entry(1)]);
    await until(async () => (await numbers(world)) === "1");
    isDown = true;
    await mirror.sessionStore.append(OF, [entry(2)]);
    await until(() => world.warnings.length > 0);
    isDown = false;
    await mirror.sessionStore.append(OF, [entry(3)]);
    await mirror.close();

    expect(calls).toBe(QUICK.attempts);
    expect(await numbers(world)).toBe("1");
    expect(world.warnings).toEqual([
      {
        message:
          "the shared transcript is behind: the conversation goes on from before these lines",
        fields: {
          conversation: ID,
          session: KEY.session,
          lines: 1,
          reason: "connection refused",
        },
      },
    ]);
  });

  test("lets nobody wait for a hanging append: an append returns at once, the end after its limit", async () => {
    await using world = await taken();
    const limits = { ...QUICK, attemptMs: 100_000 };
    const mirror = mirrorOf(world, () => new Promise<number>(() => undefined), limits);
    const began = performance.now();

    await mirror.sessionStore.append(OF, [entry(1), entry(2)]);
    expect(performance.now() - began).toBeLessThan(100);
    await mirror.close();

    expect(performance.now() - began).toBeLessThan(2_000);
    expect(world.warnings.map(({ fields }) => [fields["lines"], fields["reason"]])).toEqual([
      [2, "not written within 400 ms"],
    ]);
    expect(MIRROR_LIMITS.closeMs).toBeLessThan(5_000);
  });

  test("gives up at once when a newer claim has taken the session", async () => {
    await using world = await taken();
    const mirror = mirrorOf(world);
    await mirror.sessionStore.append(OF, [entry(1)]);
    await until(async () => (await numbers(world)) === "1");
    await world.store.take(KEY.session, { owner: "host-2", fence: 2 });

    await mirror.sessionStore.append(OF, [entry(2)]);
    await mirror.close();

    expect(await numbers(world)).toBe("1");
    expect(world.warnings[0]?.fields["reason"]).toContain("newer claim");
  });

  test("asks the store nothing while its claim may be over, and writes all of it once that is renewed", async () => {
    await using world = await taken();
    let [looks, holds] = [0, false];
    const mirror = mirrorOf(world, world.store.append, { ...QUICK, attempts: 1000 }, () => {
      looks += 1;
      return holds;
    });

    await mirror.sessionStore.append(OF, [entry(1), entry(2)]);
    await until(() => looks > 2);
    expect(await numbers(world)).toBe("");
    holds = true;
    await until(async () => (await numbers(world)) === "1 2");
    await mirror.close();

    expect(world.warnings).toEqual([]);
  });

  test("holds no more than its limit in memory", async () => {
    await using world = await taken();
    const limits = { ...QUICK, attemptMs: 100_000, waitingBytes: 1_000 };
    const mirror = mirrorOf(world, () => new Promise<number>(() => undefined), limits);

    await mirror.sessionStore.append(OF, [{ ...entry(1), text: "x".repeat(2_000) }]);

    expect(world.warnings[0]?.fields["reason"]).toBe("more than 1000 bytes wait to be written");
    await mirror.close();
  });

  test.each([
    ["another conversation", { ...OF, sessionId: ID.replace("0b", "1b") }],
    ["a sub-agent", { ...OF, subpath: "subagents/agent-1" }],
  ])("takes nothing that is said of %s", async (_what, of) => {
    await using world = await taken();
    const mirror = mirrorOf(world);

    await mirror.sessionStore.append(of, [entry(1)]);
    await mirror.close();

    expect(await world.all(KEY)).toEqual([]);
    expect(await world.all({ ...KEY, id: of.sessionId })).toEqual([]);
    expect(world.warnings.map(({ fields }) => fields["foreign"])).toEqual([1]);
  });
});

test("a long transcript is laid out line by line in its order, in place of what lay there", async () => {
  await using world = await taken();
  const home = await mkdtemp(join(tmpdir(), "ch-layout-"));
  try {
    const old = join(home, "projects/elsewhere", `${ID}.jsonl`);
    const other = join(home, "projects/elsewhere", `${ID.replace("0b", "1b")}.jsonl`);
    await Bun.write(old, "older\n");
    await Bun.write(other, "another conversation\n");
    const texts = Array.from({ length: 450 }, (_, n) => JSON.stringify(entry(n)));
    const entries = texts.map((text, n) => ({ id: `e${n}`, text }));
    await world.store.append(KEY, HOLDER, entries);

    await layOutTranscript(world.store, KEY, home);

    const path = join(home, "projects/-clone", `${ID}.jsonl`);
    expect(await readFile(path, "utf8")).toBe(`${texts.join("\n")}\n`);
    expect(await Bun.file(old).exists()).toBe(false);
    expect(await Bun.file(other).exists()).toBe(true);

    await world.store.drop(KEY);
    await layOutTranscript(world.store, KEY, home);
    expect(await readdir(join(home, "projects/-clone"))).toEqual([]);
  } finally {
    await rm(home, { recursive: true, force: true });
  }
});

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 5_000;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error("it did not happen within five seconds");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
