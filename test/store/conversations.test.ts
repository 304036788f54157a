import { expect, test } from "bun:test";
import {
  anEnd,
  aSession,
  aStart,
  claimRun,
  NOON,
  openStoreWorld,
  orderRun,
  type StoreWorld,
} from "../support/store-world.ts";

const KEY = aSession("boss", 42).key;
const FIRST = aSession("boss", 42).sessionId;
const SECOND = "11111111-0000-4000-8000-000000000042";
const ONE = { input: 1, output: 2, cacheRead: 3, cacheWrite: 4 };

async function begun(world: StoreWorld) {
  await orderRun(world.store, 42);
  const claim = await claimRun(world.store);
  const begins = { why: "first", handOver: null } as const;
  await world.store.runs.start(claim, aStart("r1", claim, { begins }));
  return claim;
}

const history = async (world: StoreWorld) => await world.store.conversations.of(KEY, 10);

test("a conversation begins with its session, and counts the runs of it alone", async () => {
  await using world = await openStoreWorld();
  await begun(world);
  await world.store.runs.end(
    anEnd("r1", { session: aSession("boss", 42, { updatedAt: NOON + 5 }), contextTokens: 8 }),
  );

  expect(await history(world)).toEqual([
    {
      key: KEY,
      sessionId: FIRST,
      why: "first",
      startedAt: NOON,
      lastSeenAt: NOON + 5,
      contextTokens: 8,
      handOver: null,
      endedAt: null,
      endedWhy: null,
      usd: 0.5,
      tokens: ONE,
    },
  ]);
  expect((await world.store.conversations.current([KEY, "x"])).get(KEY)?.sessionId).toBe(FIRST);
});

test("a rotation within a run ends the old conversation and gives the new one its reason and hand-over", async () => {
  await using world = await openStoreWorld();
  await begun(world);
  world.clock.now = NOON + 9;
  const session = aSession("boss", 42, { sessionId: SECOND, createdAt: NOON + 9 });
  const begins = { why: "context", handOver: "## Done" } as const;
  await world.store.runs.sessionChanged("r1", session, { ...aStartOf(), begins });
  await world.store.runs.end(anEnd("r1", { session }));

  expect(await history(world)).toMatchObject([
    { sessionId: SECOND, why: "context", handOver: "## Done", endedAt: null, usd: 0.5 },
    { sessionId: FIRST, why: "first", endedAt: NOON + 9, endedWhy: "context", usd: 0 },
  ]);
});

test("a session that a person changed or removed leaves its line, with the reason", async () => {
  await using world = await openStoreWorld();
  await world.store.sessions.put(aSession("boss", 42));
  await world.store.sessions.put(aSession("boss", 42, { sessionId: SECOND }));
  await world.store.sessions.drop(KEY);

  const rows = await history(world);
  expect(rows).toMatchObject([
    { sessionId: SECOND, why: "by_hand", endedWhy: "removed" },
    { sessionId: FIRST, why: "first", endedWhy: "by_hand" },
  ]);
  expect(rows.every(({ endedAt }) => endedAt !== null && endedAt > NOON)).toBe(true);
  expect((await world.store.conversations.current([KEY])).size).toBe(0);
});

test("a reason that was named before a drop holds", async () => {
  await using world = await openStoreWorld();
  await world.store.sessions.put(aSession("boss", 42));
  world.clock.now = NOON + 7;
  await world.store.conversations.ending([KEY], "reset");
  await world.store.sessions.drop(KEY);
  await world.store.sessions.put(aSession("boss", 42));

  expect(await history(world)).toMatchObject([
    { sessionId: FIRST, why: "first", endedAt: null },
    { sessionId: FIRST, endedAt: NOON + 7, endedWhy: "reset" },
  ]);
});

test("what was metered while a run went on outlives a kill, and its end leaves it", async () => {
  await using world = await openStoreWorld();
  await begun(world);
  await world.store.runs.metered("r1", { usd: 0.25, tokens: ONE });
  const { usd: _usd, tokens: _tokens, ...end } = anEnd("r1", { session: aSession("boss", 42) });
  await world.store.runs.end(end);
  await world.store.runs.metered("r1", { usd: 9, tokens: ONE });

  expect(await world.store.runs.get("r1")).toMatchObject({ usd: 0.25 });
  const spent = { runs: 1, usd: 0.25, tokens: ONE };
  expect(await world.store.runs.spent(31)).toEqual({
    all: spent,
    agents: [{ agent: "boss", ...spent }],
    repositories: [{ repo: "acme/widgets", ...spent }],
    days: [{ day: "2026-10-01", ...spent }],
  });
});

function aStartOf() {
  return { shown: [], seen: { title: "", body: "", pull: null, texts: {}, checks: {}, acts: [] } };
}
