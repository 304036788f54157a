import { expect, test } from "bun:test";
import { stat } from "node:fs/promises";
import { tidyStore } from "../../src/work/tidy-store.ts";
import { aDelivery, NOON, openStoreWorld } from "../support/store-world.ts";

const DAY_MS = 24 * 60 * 60_000;

async function filled(count: number) {
  const world = await openStoreWorld();
  await Promise.all(
    Array.from({ length: count }, (_, index) =>
      world.store.deliveries.record(aDelivery(`old-${index}`), []),
    ),
  );
  const remember = { store: world.store, deliveryMs: 30 * DAY_MS, now: () => world.clock.now };
  const left = async () => (await world.store.deliveries.list(500, null)).rows.length;
  return { world, remember, left };
}

test("what is older than it is remembered goes in idle time, and nothing else", async () => {
  const { world, remember, left } = await filled(250);
  await using _ = world;
  world.clock.now = NOON + 30 * DAY_MS;
  await world.store.deliveries.record(aDelivery("new", { receivedAt: world.clock.now }), []);
  world.clock.now += 1000;

  expect(await tidyStore(remember)).toBe(true);

  expect(await left()).toBe(1);
  expect(await tidyStore(remember)).toBe(true);
  expect(await left()).toBe(1);
});

test("while deliveries come nothing is done, and one step where it has not been idle for long", async () => {
  const { world, remember, left } = await filled(250);
  await using _ = world;
  world.clock.now = NOON + 31 * DAY_MS;
  await world.store.deliveries.record(aDelivery("new", { receivedAt: world.clock.now }), []);

  expect(await tidyStore(remember)).toBe(false);
  expect(await left()).toBe(251);
  expect(await tidyStore(remember, { anyway: true })).toBe(true);
  expect(await left()).toBe(151);
});

test("a delivery that comes in between ends it after the step that is under way", async () => {
  const { world, remember, left } = await filled(250);
  await using _ = world;
  world.clock.now = NOON + 31 * DAY_MS;
  const { deliveries, quietMs, checkpoint } = world.store;
  const store = {
    deliveries: {
      forget: async (before: number, limit: number) => {
        const late = aDelivery("late", { receivedAt: world.clock.now });
        await deliveries.record(late, []);
        return await deliveries.forget(before, limit);
      },
    },
    quietMs,
    checkpoint,
  };

  await tidyStore({ ...remember, store });

  expect(await left()).toBe(151);
});

test("in idle time the log of the database is moved into it, so that no later commit has to", async () => {
  const { world, remember } = await filled(450);
  await using _ = world;
  const before = (await stat(world.path)).size;
  world.clock.now = NOON + 1000;

  await tidyStore(remember);

  expect((await stat(world.path)).size).toBeGreaterThan(before);
});
