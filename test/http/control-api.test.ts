import { describe, expect, test } from "bun:test";
import type { Outcome } from "../../src/domain/ledger.ts";
import { adminWorld, START } from "../support/admin-world.ts";
import { fillStore, RUN_ID } from "../support/fill-store.ts";

async function filled(outcome: Outcome | null) {
  const world = await adminWorld();
  await fillStore(world.store, START);
  if (outcome !== null) {
    await world.store.runs.end({
      id: RUN_ID,
      endedAt: START + 1000,
      outcome,
      reason: "because",
      session: null,
    });
  }
  return world;
}

describe("cancelling a run", () => {
  test("that lives is done, and its state is the answer", async () => {
    await using world = await filled(null);
    const { status, json } = await world.call(`/api/v1/runs/${RUN_ID}/cancel`, { body: {} });
    expect([status, world.changed]).toEqual([200, [`cancel ${RUN_ID}`]]);
    expect(json).toMatchObject({ id: RUN_ID, agent: "boss", outcome: null });
  });

  test("that has ended is 409 and changes nothing", async () => {
    await using world = await filled("failed");
    const { status, json } = await world.call(`/api/v1/runs/${RUN_ID}/cancel`, { body: {} });
    expect([status, json, world.changed]).toEqual([
      409,
      { error: "the run has ended: failed" },
      [],
    ]);
  });
});

describe("retrying a run", () => {
  test.each<[Outcome | null, number]>([
    [null, 409],
    ["succeeded", 409],
    ["asked", 409],
    ["declined", 409],
    ["failed", 200],
    ["timed_out", 200],
    ["stalled", 200],
    ["cancelled", 200],
    ["parked", 200],
  ])("whose outcome is %s is %d", async (outcome, expected) => {
    await using world = await filled(outcome);
    const { status, json } = await world.call(`/api/v1/runs/${RUN_ID}/retry`, { body: {} });
    expect(status).toBe(expected);
    expect(world.changed).toEqual(expected === 200 ? ["continue acme/widgets 42"] : []);
    if (expected === 200) expect(json).toMatchObject({ repo: "acme/widgets", number: 42 });
  });
});

test("an item is parked and continued by its number or that of its pull request", async () => {
  await using world = await filled("cancelled");
  const parked = await world.call("/api/v1/items/acme/widgets/43/park", { body: {} });
  const continued = await world.call("/api/v1/items/Acme/Widgets/42/continue", { body: {} });
  expect([parked.status, continued.status]).toEqual([200, 200]);
  expect(continued.json).toMatchObject({ repo: "acme/widgets", number: 42, pull: 43 });
  expect(world.changed).toEqual(["park acme/widgets 42", "continue acme/widgets 42"]);
});

test("draining answers how many runs are left", async () => {
  await using world = await adminWorld();
  const { status, json } = await world.call("/api/v1/drain", { body: {} });
  expect([status, json, world.changed]).toEqual([200, { draining: true, active: 0 }, ["drain"]]);
});

test.each<[string, unknown, number]>([
  ["/api/v1/runs/nope/cancel", {}, 404],
  ["/api/v1/runs/nope/retry", {}, 404],
  [`/api/v1/runs/${RUN_ID}/stop`, {}, 404],
  ["/api/v1/items/acme/widgets/7/park", {}, 404],
  ["/api/v1/items/acme/widgets/7/continue", {}, 404],
  ["/api/v1/items/acme/widgets/x/park", {}, 400],
  [`/api/v1/runs/${RUN_ID}/cancel`, { force: true }, 400],
  ["/api/v1/items/acme/widgets/42/park", { why: "x" }, 400],
  ["/api/v1/items/acme/widgets/42/continue", [], 400],
  ["/api/v1/drain", { now: true }, 400],
])("%s with %j is %d with an error, and nothing happens to a run", async (path, body, expected) => {
  await using world = await filled(null);
  const { status, json } = await world.call(path, { body });
  expect(status).toBe(expected);
  expect(Object.keys(json ?? {})).toEqual(["error"]);
  expect(await world.store.work.held({ repo: "acme/widgets", number: 42 })).toBeNull();
});

test.each([
  `/api/v1/runs/${RUN_ID}/cancel`,
  `/api/v1/runs/${RUN_ID}/retry`,
  "/api/v1/items/acme/widgets/42/park",
  "/api/v1/items/acme/widgets/42/continue",
  "/api/v1/drain",
])("%s changes nothing without the token or by GET", async (path) => {
  await using world = await filled(null);
  const get = await world.call(path, { method: "GET" });
  const stranger = await world.call(path, { body: {}, headers: { authorization: null } });
  expect([get.status, stranger.status, world.changed]).toEqual([404, 401, []]);
});
