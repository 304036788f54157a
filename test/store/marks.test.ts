import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Claim } from "../../src/ports/store/claims.ts";
import {
  aResult,
  claimReconcile,
  ENGINE,
  issueMark,
  itemRef,
  markItem,
  openStoreWorld,
  REPO,
  resolveAll,
} from "../support/store-world.ts";

test("marks of one target become one row, whatever the case of the repository", async () => {
  await using world = await openStoreWorld();
  const { work } = world.store;

  await work.mark([issueMark(42), issueMark(42, "Acme/Widgets")], false);
  await work.mark([issueMark(42)], true);

  expect(await work.unresolved(10)).toEqual([{ mark: issueMark(42), count: 3, tries: 0 }]);
});

test("every kind of target comes back as it went in, urgent ones first", async () => {
  await using world = await openStoreWorld();
  const { work } = world.store;
  const swept = { repo: REPO, target: { kind: "branch", branch: "boss/42" } } as const;
  const pushed = { repo: REPO, target: { kind: "sha", sha: "a".repeat(40) } } as const;

  await work.mark([swept, issueMark(7)], false);
  await work.mark([pushed], true);

  expect((await work.unresolved(10)).map((row) => row.mark)).toEqual([pushed, swept, issueMark(7)]);
  expect(await work.unresolved(1)).toHaveLength(1);
});

test("a mark moves to the items it turned out to be", async () => {
  await using world = await openStoreWorld();
  const { work } = world.store;
  await work.mark([issueMark(43)], true);
  const [row] = await work.unresolved(10);
  if (row === undefined) throw new Error("no mark");

  await work.resolve([{ row, items: [itemRef(42), itemRef(41)] }]);

  expect(await work.unresolved(10)).toEqual([]);
  const claims = [await claimReconcile(world.store), await claimReconcile(world.store)];
  expect(claims.map((claim) => claim.item.number).sort()).toEqual([41, 42]);
});

test("a mark that comes while the first is being resolved stays", async () => {
  await using world = await openStoreWorld();
  const { work } = world.store;
  await work.mark([issueMark(42)], true);
  const [row] = await work.unresolved(10);
  if (row === undefined) throw new Error("no mark");
  await work.mark([issueMark(42)], true);

  await work.resolve([{ row, items: [] }]);

  expect((await work.unresolved(10)).map((left) => left.mark)).toEqual([issueMark(42)]);
});

test("a resolve that comes twice does not take a newer mark of the same target", async () => {
  await using world = await openStoreWorld();
  const { work } = world.store;
  await work.mark([issueMark(42)], true);
  const [row] = await work.unresolved(10);
  if (row === undefined) throw new Error("no mark");
  await work.resolve([{ row, items: [] }]);
  await work.mark([issueMark(42)], true);

  await work.resolve([{ row, items: [] }]);

  expect(await work.unresolved(10)).toHaveLength(1);
});

test("urgent marks are looked at before those of a sweep, each in their order", async () => {
  await using world = await openStoreWorld();
  for (const [number, urgent] of [
    [1, false],
    [2, true],
    [3, false],
    [4, true],
  ] as const) {
    world.clock.now += 1;
    await markItem(world.store, number, urgent);
  }

  const order: number[] = [];
  for (let index = 0; index < 4; index += 1) {
    order.push((await claimReconcile(world.store)).item.number);
  }

  expect(order).toEqual([2, 4, 1, 3]);
});

test("an item that is marked all the time does not keep others waiting", async () => {
  await using world = await openStoreWorld();
  const { store } = world;
  await markItem(store, 1);
  await markItem(store, 2);

  const claim = await claimReconcile(store);
  await markItem(store, 1);
  await store.work.settleReconcile(claim, aResult());

  expect((await claimReconcile(store)).item.number).toBe(2);
  expect((await claimReconcile(store)).item.number).toBe(1);
});

interface Held {
  readonly claim: Claim;
  readonly saw: number;
}

type Step = "mark" | "resolve" | "claim" | "settle" | "late";

test("settling loses no mark, however marks, claims and settles interleave", async () => {
  const steps = fc.array(fc.constantFrom<Step>("mark", "resolve", "claim", "settle", "late"), {
    maxLength: 40,
  });
  await fc.assert(
    fc.asyncProperty(steps, async (sequence) => {
      await using world = await openStoreWorld("memory");
      const { store } = world;
      // What the world last said, and what the newest settled reconcile had seen of it.
      let said = 0;
      let seen = 0;
      let held: Held | null = null;
      let stale: Held | null = null;
      for (const step of sequence) {
        if (step === "mark") {
          said += 1;
          await store.work.mark([issueMark(1)], said % 2 === 0);
        } else if (step === "resolve") await resolveAll(store);
        else if (step === "claim" && held === null) {
          const claim = await store.work.claimReconcile("me", 1000);
          held = claim === null ? null : { claim, saw: said };
        } else if (step === "settle" && held !== null) {
          expect(await store.work.settleReconcile(held.claim, aResult())).toBe(true);
          seen = held.saw;
          held = null;
        } else if (step === "late" && held !== null) {
          stale = held;
          held = null;
          world.clock.now += 1000;
          await store.work.reap(null);
        }
        if (stale !== null) {
          expect(await store.work.settleReconcile(stale.claim, aResult())).toBe(false);
        }
      }
      if (held !== null) {
        await store.work.settleReconcile(held.claim, aResult());
        seen = held.saw;
      }
      await resolveAll(store);
      const left = await store.work.claimReconcile("me", 1000);
      expect(left !== null || seen === said).toBe(true);
    }),
    // A world of PostgreSQL is a database that has to be made: a tenth of a second.
    { numRuns: ENGINE === "postgres" ? 10 : 60 },
  );
}, 60_000);
