import { expect, test } from "bun:test";
import { join } from "node:path";
import { openStore } from "../../src/store/open-store.ts";
import { aDelivery, issueMark, NOON, openStoreWorld } from "../support/store-world.ts";

test("a delivery is accepted once and marks only then", async () => {
  await using world = await openStoreWorld();
  const { deliveries, work } = world.store;

  const first = await deliveries.record(aDelivery("d1"), [issueMark(42)]);
  const second = await deliveries.record(aDelivery("d1"), [issueMark(43)]);

  expect([first, second]).toEqual(["accepted", "duplicate"]);
  expect((await work.unresolved(10)).map((row) => row.mark)).toEqual([issueMark(42)]);
});

test("calls of one turn share a transaction, and the same id among them is a duplicate", async () => {
  await using world = await openStoreWorld();
  let wakes = 0;
  world.store.onWake(() => {
    wakes += 1;
  });

  const answers = await Promise.all(
    Array.from({ length: 100 }, (_, index) =>
      world.store.deliveries.record(aDelivery(`d${index % 50}`), [issueMark(index % 50)]),
    ),
  );

  expect(answers.filter((answer) => answer === "accepted")).toHaveLength(50);
  expect(answers.slice(0, 50)).not.toContain("duplicate");
  expect(wakes).toBe(1);
  expect(await world.store.work.unresolved(1000)).toHaveLength(50);
});

test("calls that keep coming turn by turn share a transaction, but only for some turns", async () => {
  await using world = await openStoreWorld();
  let wakes = 0;
  world.store.onWake(() => {
    wakes += 1;
  });
  /** One call in each of so many turns of the event loop, each before the store's own turn. */
  const recordInTurns = async (name: string, turns: number): Promise<void> => {
    const calls: Promise<unknown>[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    const call = (turn: number) => {
      if (turn < turns) setImmediate(call, turn + 1);
      calls.push(world.store.deliveries.record(aDelivery(`${name}${turn}`), []));
      if (turn === turns) resolve();
    };
    call(1);
    await promise;
    await Promise.all(calls);
  };

  await recordInTurns("a", 4);
  expect(wakes).toBe(1);
  await recordInTurns("b", 40);
  expect(wakes).toBeGreaterThan(2);
  expect((await world.store.deliveries.list(100, null)).rows).toHaveLength(44);
});

test.each([1, 2, 33])("batches of %d deliveries in a row keep what is their own", async (size) => {
  await using world = await openStoreWorld("memory");
  const batches = [
    Array.from({ length: size }, (_, index) =>
      aDelivery(`a${index}`, { number: null, sender: null, bodySha256: `a${index}` }),
    ),
    Array.from({ length: size }, (_, index) => {
      const ignored = { status: "ignored", reason: "own echo" } as const;
      return aDelivery(`b${index}`, { number: index, repo: null, receivedAt: index, ...ignored });
    }),
    Array.from({ length: size }, (_, index) => aDelivery(`c${index}`, { sender: `s${index}` })),
  ];
  for (const batch of batches) {
    const record = world.store.deliveries.record;
    await Promise.all(batch.map((row, index) => record(row, [issueMark(index)])));
  }

  const { rows } = await world.store.deliveries.list(100, null);
  expect(rows.toReversed()).toEqual(batches.flat());
  const marks = (await world.store.work.unresolved(100)).map(({ mark }) => mark);
  expect(marks).toEqual(batches[0]?.map((_, index) => issueMark(index)) ?? []);
});

test("what was ignored is not remembered as handled: the same id is taken again when it counts", async () => {
  await using world = await openStoreWorld();
  const { deliveries, work } = world.store;
  const ignored = aDelivery("d1", { status: "ignored", reason: "repository is not configured" });

  const answers = [
    await deliveries.record(ignored, []),
    await deliveries.record(ignored, []),
    await deliveries.record(aDelivery("d2"), []),
    await deliveries.record(aDelivery("d1"), [issueMark(42)]),
    await deliveries.record(aDelivery("d1"), [issueMark(43)]),
    await deliveries.record(ignored, []),
  ];

  expect(answers).toEqual([
    "accepted",
    "accepted",
    "accepted",
    "accepted",
    "duplicate",
    "duplicate",
  ]);
  expect((await work.unresolved(10)).map((row) => row.mark)).toEqual([issueMark(42)]);
  // One row each, and the one that was taken again is among the newest.
  expect((await deliveries.list(10, null)).rows).toEqual([aDelivery("d1"), aDelivery("d2")]);
});

test("of one id in one turn the call that counts is taken, wherever it stands", async () => {
  await using world = await openStoreWorld();
  const ignored = aDelivery("d1", { status: "ignored", reason: "own echo" });

  const answers = await Promise.all([
    world.store.deliveries.record(ignored, []),
    world.store.deliveries.record(aDelivery("d1"), [issueMark(42)]),
    world.store.deliveries.record(aDelivery("d1"), [issueMark(42)]),
  ]);

  expect(answers).toEqual(["duplicate", "accepted", "duplicate"]);
  expect(await world.store.work.unresolved(10)).toHaveLength(1);
});

test("a delivery whose transaction failed is not remembered", async () => {
  await using world = await openStoreWorld();
  const bad = aDelivery("d1", { receivedAt: "never" as unknown as number });
  await expect(world.store.deliveries.record(bad, [])).rejects.toThrow();

  expect(await world.store.deliveries.record(aDelivery("d1"), [issueMark(1)])).toBe("accepted");
});

const MINUTE_MS = 60_000;
const TWINS: readonly (readonly [string, object, "accepted" | "duplicate"])[] = [
  ["at once", {}, "duplicate"],
  ["after five minutes", { receivedAt: NOON + 5 * MINUTE_MS }, "duplicate"],
  ["later than that", { receivedAt: NOON + 5 * MINUTE_MS + 1 }, "accepted"],
  ["as another event", { event: "issue_assign" }, "accepted"],
  ["with another body", { bodySha256: "1".repeat(64) }, "accepted"],
];

test.each(TWINS)("the body of an accepted delivery under another id, %s", async (...row) => {
  const [, patch, answer] = row;
  const body = { bodySha256: "0".repeat(64) };
  for (const inOneTurn of [true, false]) {
    await using world = await openStoreWorld("memory");
    const { deliveries, work } = world.store;
    const first = deliveries.record(aDelivery("d1", body), [issueMark(1)]);
    if (!inOneTurn) await first;
    const twin = await deliveries.record(aDelivery("d2", { ...body, ...patch }), [issueMark(1)]);

    expect([await first, twin]).toEqual(["accepted", answer]);
    const [marked] = await work.unresolved(10);
    expect(marked?.count).toBe(2);
    const [kept] = (await deliveries.list(10, null)).rows;
    expect(kept).toMatchObject({ id: "d2", status: "accepted" });
    expect(kept?.reason).toBe(answer === "duplicate" ? "same body as d1" : null);
  }
});

test("twins do not follow from twins: five minutes after the first it is a delivery again", async () => {
  await using world = await openStoreWorld("memory");
  const answers: string[] = [];
  for (let minutes = 0; minutes <= 9; minutes += 3) {
    const receivedAt = NOON + minutes * MINUTE_MS;
    const delivery = aDelivery(`d${minutes}`, { receivedAt, bodySha256: "0".repeat(64) });
    answers.push(await world.store.deliveries.record(delivery, []));
  }
  expect(answers).toEqual(["accepted", "duplicate", "accepted", "duplicate"]);
});

test("of several with the same body a twin is that of the newest", async () => {
  await using world = await openStoreWorld("memory");
  for (const [id, ms] of [
    ["d1", 0],
    ["d2", 5 * MINUTE_MS + 1],
    ["d3", 5 * MINUTE_MS],
  ] as const) {
    const patch = { receivedAt: NOON + ms, bodySha256: "0".repeat(64) };
    await world.store.deliveries.record(aDelivery(id, patch), []);
  }

  const { rows } = await world.store.deliveries.list(10, null);
  expect(rows.map(({ reason }) => reason)).toEqual(["same body as d2", null, null]);
});

test("a twin is known as one after a restart, and after the one it is of was redelivered", async () => {
  await using world = await openStoreWorld();
  const body = { bodySha256: "0".repeat(64) };
  await world.store.deliveries.record(aDelivery("d1", body), []);
  await world.store.deliveries.record(aDelivery("d2", body), []);

  const { deliveries } = await world.reopen();

  for (const id of ["d1", "d2", "d3"]) {
    expect(await deliveries.record(aDelivery(id, body), [])).toBe("duplicate");
  }
  const { rows } = await deliveries.list(10, null);
  expect(rows.map(({ reason }) => reason)).toEqual(["same body as d1", "same body as d1", null]);
});

test("the first of many hundreds has its twin after a restart", async () => {
  await using world = await openStoreWorld();
  const record = world.store.deliveries.record;
  await record(aDelivery("first", { bodySha256: "0".repeat(64) }), []);
  const others = Array.from({ length: 1200 }, (_, at) => record(aDelivery(`other-${at}`), []));
  await Promise.all(others);

  const { deliveries } = await world.reopen();

  const twin = aDelivery("twin", { bodySha256: "0".repeat(64) });
  expect(await deliveries.record(twin, [])).toBe("duplicate");
});

test("a redelivery of long ago is no original of what comes with it", async () => {
  await using world = await openStoreWorld("memory");
  const { deliveries } = world.store;
  const body = { bodySha256: "0".repeat(64) };
  const later = { ...body, receivedAt: NOON + 6 * MINUTE_MS };
  await deliveries.record(aDelivery("d1", body), []);

  const answers = ["d1", "d2", "d3"].map((id) => deliveries.record(aDelivery(id, later), []));

  expect(await Promise.all(answers)).toEqual(["duplicate", "accepted", "duplicate"]);
  const { rows } = await deliveries.list(10, null);
  expect(rows.map(({ reason }) => reason)).toEqual(["same body as d2", null, null]);
});

test("a body is no twin of one that could not be written", async () => {
  await using world = await openStoreWorld("memory");
  const body = { bodySha256: "0".repeat(64) };
  const bad = aDelivery("d1", { ...body, number: "x" as unknown as number });
  await expect(world.store.deliveries.record(bad, [])).rejects.toThrow();

  const good = aDelivery("d2", body);
  expect(await world.store.deliveries.record(good, [])).toBe("accepted");
});

test("a body that was ignored has no twins", async () => {
  await using world = await openStoreWorld("memory");
  const ignored = { status: "ignored", reason: "own echo", bodySha256: "0".repeat(64) } as const;
  await world.store.deliveries.record(aDelivery("d1", ignored), []);

  expect(await world.store.deliveries.record(aDelivery("d2", ignored), [])).toBe("accepted");
  const counting = aDelivery("d3", { bodySha256: ignored.bodySha256 });
  expect(await world.store.deliveries.record(counting, [])).toBe("accepted");
});

test("the oldest deliveries are forgotten, no more at a time than was asked for", async () => {
  await using world = await openStoreWorld("memory");
  const { deliveries } = world.store;
  for (let index = 0; index < 5; index += 1) {
    await deliveries.record(aDelivery(`d${index}`, { receivedAt: NOON + index }), []);
  }

  expect(await deliveries.forget(NOON + 3, 2)).toBe(2);
  expect(await deliveries.forget(NOON + 3, 2)).toBe(1);
  expect(await deliveries.forget(NOON + 3, 2)).toBe(0);
  expect((await deliveries.list(10, null)).rows.map(({ id }) => id)).toEqual(["d4", "d3"]);
  // What is forgotten is new again.
  expect(await deliveries.record(aDelivery("d0"), [])).toBe("accepted");
});

const canTrace =
  Bun.which("strace") !== null &&
  Bun.spawnSync(["strace", "-o", "/dev/null", "true"]).exitCode === 0;

test.skipIf(!canTrace)(
  "nothing is acknowledged before it is synced to the disk",
  async () => {
    await using world = await openStoreWorld();
    const trace = join(world.directory, "trace");
    const child = Bun.spawn(
      [
        ...["strace", "-f", "-o", trace, "-e", "trace=fdatasync,fsync,write", process.execPath],
        ...[join(import.meta.dir, "record-child.ts"), join(world.directory, "traced.db"), "20"],
      ],
      { stdout: "ignore", stderr: "ignore" },
    );
    expect(await child.exited).toBe(0);

    const calls = (await Bun.file(trace).text()).split("\n").flatMap((line) => {
      if (/\b(?:fdatasync|fsync)\(/u.test(line)) return ["sync"];
      return /\bwrite\(1,/u.test(line) ? ["ack"] : [];
    });
    const acks = calls.flatMap((name, index) => (name === "ack" ? [calls[index - 1]] : []));
    expect(acks).toHaveLength(20);
    expect(new Set(acks)).toEqual(new Set(["sync"]));
  },
  20_000,
);

test("a delivery the database refuses does not take its neighbours with it", async () => {
  await using world = await openStoreWorld();
  const bad = aDelivery("bad", { status: "nonsense" as "accepted" });

  const answers = await Promise.allSettled(
    [aDelivery("a"), bad, aDelivery("b")].map((row) => world.store.deliveries.record(row, [])),
  );

  expect(answers.map((answer) => answer.status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  expect((await world.store.deliveries.list(10, null)).rows.map((row) => row.id)).toEqual([
    "b",
    "a",
  ]);
});

test("the database is not quiet while a delivery waits for it, and is again after one that was refused", async () => {
  await using world = await openStoreWorld();
  const { store, clock } = world;
  const bad = store.deliveries.record(aDelivery("bad", { status: "nonsense" as "accepted" }), []);
  const good = store.deliveries.record(aDelivery("good"), []);
  clock.now += 1000;

  expect(store.quietMs()).toBe(0);
  await Promise.allSettled([bad, good]);
  expect(store.quietMs()).toBe(1000);
});

test("deliveries are listed newest first, page by page, with all their fields", async () => {
  await using world = await openStoreWorld();
  const { deliveries } = world.store;
  for (let index = 0; index < 5; index += 1) await deliveries.record(aDelivery(`d${index}`), []);

  const first = await deliveries.list(2, null);
  await deliveries.record(aDelivery("late"), []);
  const second = await deliveries.list(2, first.next);
  const third = await deliveries.list(2, second.next);

  expect([first, second, third].map((page) => page.rows.map((row) => row.id))).toEqual([
    ["d4", "d3"],
    ["d2", "d1"],
    ["d0"],
  ]);
  expect(third.next).toBeNull();
  expect(first.rows[0]).toEqual(aDelivery("d4"));
});

test.each(["", "x", "-1", "1 or 1=1", "9".repeat(30)])(
  "the cursor %p is refused",
  async (cursor) => {
    await using world = await openStoreWorld();

    const failure = await world.store.deliveries.list(10, cursor).catch((error: unknown) => error);

    expect(failure).toMatchObject({ name: "StoreFailure", kind: "cursor" });
  },
);

test("what was acknowledged before kill -9 is there afterwards", async () => {
  await using world = await openStoreWorld();
  const path = join(world.directory, "killed.db");
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "record-child.ts"), path], {
    stdout: "pipe",
    stderr: "inherit",
  });

  const acknowledged: string[] = [];
  let rest = "";
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    acknowledged.push(...lines);
    if (acknowledged.length > 200) child.kill("SIGKILL");
  }
  await child.exited;

  const store = await openStore({ path, now: () => 0 });
  const kept = new Set<string>();
  let before: string | null = null;
  do {
    const page = await store.deliveries.list(500, before);
    for (const row of page.rows) kept.add(row.id);
    before = page.next;
  } while (before !== null);
  await store.close();
  expect(acknowledged.length).toBeGreaterThan(200);
  expect(acknowledged.filter((id) => !kept.has(id))).toEqual([]);
});
