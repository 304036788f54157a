import { describe, expect, test } from "bun:test";
import { stat } from "node:fs/promises";
import { TranscriptFailure, type TranscriptKey } from "../../src/ports/transcripts.ts";
import { ENGINE } from "../support/store-world.ts";
import { transcriptWorld } from "../support/transcript-world.ts";

const SESSION = "boss:acme/widgets#1";
const KEY: TranscriptKey = { session: SESSION, id: "one" };
const ME = { owner: "host-1", fence: 3 };
/** A line is JSON: no NUL and no lone surrogate ever comes as itself. */
const ODD = JSON.stringify("\u0000 \ud800 ß 🦉");
const line = (id: string, text = id) => ({ id, text });

/** The kind of the refusal, or "done". */
async function refusalOf(answer: Promise<unknown>): Promise<string> {
  return await answer.then(
    () => "done",
    (error: unknown) => (error instanceof TranscriptFailure ? error.kind : String(error)),
  );
}

describe("who may append", () => {
  test.each([
    ["nobody", null, "stale"],
    ["the same claim", ME, "done"],
    ["an older claim", { owner: "host-1", fence: 2 }, "stale"],
    ["another owner of the same fence", { owner: "host-2", fence: 3 }, "stale"],
    ["a newer claim", { owner: "host-2", fence: 4 }, "stale"],
  ])("to a session taken by %s is decided by the fence", async (_who, holder, expected) => {
    await using world = await transcriptWorld();
    if (holder !== null) await world.store.take(SESSION, holder);

    expect(await refusalOf(world.store.append(KEY, ME, [line("a")]))).toBe(expected);

    expect(await world.store.has(KEY)).toBe(expected === "done");
  });

  test("is for whoever took the session last, and an older claim cannot take it back", async () => {
    await using world = await transcriptWorld();
    await world.store.take(SESSION, ME);
    await world.store.append(KEY, ME, [line("a")]);
    await world.store.take(SESSION, { owner: "host-2", fence: 4 });

    expect(await refusalOf(world.store.append(KEY, ME, [line("b")]))).toBe("stale");
    expect(await refusalOf(world.store.take(SESSION, ME))).toBe("stale");
    expect(await world.all(KEY)).toEqual(["a"]);
  });

  test("is nobody once the session is dropped, until it is taken anew", async () => {
    await using world = await transcriptWorld();
    await world.store.take(SESSION, ME);
    await world.store.append(KEY, ME, [line("a")]);
    await world.store.append({ ...KEY, id: "two" }, ME, [line("a")]);

    expect(await world.store.dropConversations(SESSION)).toBe(2);

    expect(await refusalOf(world.store.append(KEY, ME, [line("b")]))).toBe("stale");
    expect(await world.all(KEY)).toEqual([]);
    await world.store.take(SESSION, { owner: "host-1", fence: 4 });
    expect(await world.store.has(KEY)).toBe(false);
  });

  test("is the same for two connections to one database", async () => {
    await using world = await transcriptWorld();
    const other = await world.again();
    await world.store.take(SESSION, ME);
    await other.take(SESSION, { owner: "host-2", fence: 4 });

    expect(await refusalOf(world.store.append(KEY, ME, [line("b")]))).toBe("stale");
    await other.append(KEY, { owner: "host-2", fence: 4 }, [line("c")]);
    expect(await world.all(KEY)).toEqual(["c"]);
    await other.close();
  });
});

describe("a stored transcript", () => {
  test("keeps each line once, in the order of its first coming", async () => {
    await using world = await transcriptWorld();
    await world.store.take(SESSION, ME);

    expect(await world.store.append(KEY, ME, [line("a"), line("b"), line("a")])).toBe(2);
    expect(await world.store.append(KEY, ME, [line("b"), line("c")])).toBe(1);
    expect(await world.store.append({ ...KEY, id: "two" }, ME, [line("a")])).toBe(1);

    expect(await world.all(KEY)).toEqual(["a", "b", "c"]);
  });

  test("is read in pages from both ends", async () => {
    await using world = await transcriptWorld();
    await world.store.take(SESSION, ME);
    const many = Array.from({ length: 450 }, (_, n) => line(`e${n}`));
    await world.store.append(KEY, ME, many);

    const page = async (from: number | null, order: "forward" | "back") =>
      (await world.store.lines(KEY, { from, limit: 200, order })).map(({ at }) => at);
    expect((await page(null, "forward")).at(-1)).toBe(200);
    expect(await page(400, "forward")).toHaveLength(50);
    expect((await page(null, "back")).slice(0, 2)).toEqual([450, 449]);
    expect(await page(3, "back")).toEqual([2, 1]);
  });

  test("refuses what is too large and keeps what it has", async () => {
    await using world = await transcriptWorld();
    await world.store.take(SESSION, ME);
    await world.store.append(KEY, ME, [line("a")]);

    const large = "x".repeat(33 * 1024 * 1024);
    expect(await refusalOf(world.store.append(KEY, ME, [line("b", large)]))).toBe("too_large");
    expect(await refusalOf(world.store.append(KEY, ME, [line("i".repeat(201))]))).toBe("too_large");
    const quarter = "x".repeat(30 * 1024 * 1024);
    for (let n = 1; n <= 8; n += 1) {
      expect(await refusalOf(world.store.append(KEY, ME, [line(`q${n}`, quarter)]))).toBe("done");
    }
    expect(await refusalOf(world.store.append(KEY, ME, [line("q9", quarter)]))).toBe("too_large");
    const newest = await world.store.lines(KEY, { from: null, limit: 1, order: "back" });
    expect(newest[0]?.at).toBe(9);
  }, 30_000);

  test("goes alone when one conversation is dropped: the session may be written to as before", async () => {
    await using world = await transcriptWorld();
    await world.store.take(SESSION, ME);
    await world.store.append(KEY, ME, [line("a")]);
    await world.store.append({ ...KEY, id: "two" }, ME, [line("b")]);

    expect(await world.store.drop(KEY)).toBe(true);
    expect(await world.store.drop(KEY)).toBe(false);

    expect(await world.all({ ...KEY, id: "two" })).toEqual(["b"]);
    expect(await world.store.append({ ...KEY, id: "two" }, ME, [line("c")])).toBe(1);
  });

  test("is found by when its session was taken last", async () => {
    await using world = await transcriptWorld();
    await world.store.take(SESSION, ME);
    await world.store.take("boss:acme/widgets#2", ME);
    world.clock.now += 1000;
    await world.store.take("boss:acme/widgets#2", ME);

    expect(await world.store.unused(world.clock.now, 10)).toEqual([SESSION]);
    expect(await world.store.unused(world.clock.now + 1, 10)).toHaveLength(2);
    expect(await world.store.unused(world.clock.now + 1, 1)).toEqual([SESSION]);
  });

  test("goes with its session only if nobody has taken that since, where this is asked for", async () => {
    await using world = await transcriptWorld();
    await world.store.take(SESSION, ME);
    await world.store.append(KEY, ME, [line("a")]);
    const { now } = world.clock;

    expect(await world.store.dropConversations(SESSION, now)).toBeNull();
    expect(await world.all(KEY)).toEqual(["a"]);
    expect(await world.store.append(KEY, ME, [line("b")])).toBe(1);

    expect(await world.store.dropConversations(SESSION, now + 1)).toBe(1);
    expect(await world.store.has(KEY)).toBe(false);
    expect(await world.store.dropConversations(SESSION, now + 1)).toBe(0);
  });

  test("survives the end of its process, in a file only its owner may read", async () => {
    await using world = await transcriptWorld();
    await world.store.take(SESSION, ME);
    await world.store.append(KEY, ME, [line("a", ODD)]);
    const again = await world.again();

    expect(await again.lines(KEY, { from: null, limit: 1, order: "forward" })).toEqual([
      { at: 1, text: ODD },
    ]);
    await again.close();
    if (ENGINE === "sqlite") expect((await stat(world.path)).mode & 0o777).toBe(0o600);
  });
});
