import { expect, test } from "bun:test";
import {
  anEnd,
  anOrder,
  aSeen,
  aSession,
  aStart,
  claimRun,
  itemRef,
  NOON,
  openStoreWorld,
  orderRun,
  putSessions,
  type StoreWorld,
} from "../support/store-world.ts";

async function ranOn(world: StoreWorld, id: string, number: number, endedAt: number) {
  await orderRun(world.store, number, anOrder({ fingerprint: id }));
  const claim = await claimRun(world.store);
  await world.store.runs.start(claim, aStart(id, claim));
  await world.store.runs.end(anEnd(id, { endedAt, usd: 1 }));
}

test("the ledger of an unknown item is empty", async () => {
  await using world = await openStoreWorld();

  expect(await world.store.ledger.read(itemRef(42))).toEqual({
    runs: [],
    parks: [],
    effects: [],
    leftovers: { sessions: 0, clones: 0, branches: [] },
    pushed: [],
    tainted: false,
    usdItem: 0,
    usdToday: 0,
    tokensToday: 0,
    paused: { all: false, agents: [] },
    hold: null,
    continuedAfter: null,
  });
});

test("an item without a run has what lies with the service for it, its taint, and what others cost today", async () => {
  await using world = await openStoreWorld();
  const { store } = world;
  await ranOn(world, "of another", 1, NOON);
  await putSessions(store, [{ ...aSession("boss", 2), tainted: true }]);
  await store.ledger.cloneMade(itemRef(2), "boss");

  const ledger = await store.ledger.read(itemRef(2));

  expect(ledger.runs).toEqual([]);
  expect(ledger.leftovers).toEqual({ sessions: 1, clones: 1, branches: [] });
  expect(ledger.tainted).toBe(true);
  expect([ledger.usdItem, ledger.usdToday, ledger.tokensToday]).toEqual([0, 1, 10]);
});

test("money counts per item for ever and per UTC day for all items", async () => {
  await using world = await openStoreWorld();
  const midnight = Date.UTC(2026, 9, 1);
  await ranOn(world, "yesterday", 1, midnight - 1);
  await ranOn(world, "today", 2, midnight);
  await ranOn(world, "later", 3, NOON);

  const ledger = await world.store.ledger.read(itemRef(1));

  expect([ledger.usdItem, ledger.usdToday]).toEqual([1, 2]);
  expect(ledger.tokensToday).toBe(20);
  expect((await world.store.work.item(itemRef(1)))?.usd).toBe(1);
});

test("what a living run has used by now counts to the item and to the day", async () => {
  await using world = await openStoreWorld();
  const { store } = world;
  await orderRun(store, 1);
  const claim = await claimRun(store);
  await store.runs.start(claim, aStart("alive", claim));
  const tokens = { input: 1, output: 2, cacheRead: 3, cacheWrite: 4 };
  await store.runs.metered("alive", { usd: 3, tokens });

  expect(await store.ledger.read(itemRef(1))).toMatchObject({
    usdItem: 3,
    usdToday: 3,
    tokensToday: 10,
  });
});

test("runs and effects come oldest first, the newest 500 of them", async () => {
  await using world = await openStoreWorld();
  const { store } = world;
  await ranOn(world, "template", 42, NOON);
  const ids = Array.from({ length: 600 }, (_, index) => `('r${index}')`).join(", ");
  await world.raw(
    `with more (name) as (values ${ids})
     insert into run (id, repo, number, agent, skill, attempt, fingerprint, session_key, session, resumed, started_at, tainted, shown_json, prompt_bytes)
     select name, repo, number, agent, skill, attempt, fingerprint, session_key, session, resumed, started_at, tainted, shown_json, prompt_bytes
     from run, more where id = 'template' order by cast(substr(name, 2) as integer)`,
  );
  await store.effects.intend({ key: "a", run: "r0", item: itemRef(42), tool: "reply", at: 1 });
  await store.effects.intend({ key: "b", run: "r0", item: itemRef(42), tool: "reply", at: 2 });

  const ledger = await store.ledger.read(itemRef(42));

  expect(ledger.runs).toHaveLength(500);
  expect([ledger.runs[0]?.id, ledger.runs.at(-1)?.id]).toEqual(["r100", "r599"]);
  expect(ledger.effects.map((effect) => effect.key)).toEqual(["a", "b"]);
});

test("sessions, clones and branches not yet tried are leftovers, until they are gone", async () => {
  await using world = await openStoreWorld();
  const { store } = world;
  const item = itemRef(42);
  await ranOn(world, "r1", 42, NOON);
  await putSessions(store, [aSession("boss", 42), aSession("reviewer", 42), aSession("boss", 4)]);
  await store.ledger.cloneMade(item, "boss");
  await store.ledger.cloneMade(item, "boss");
  await store.runs.pushed("r1", "boss/42", "sha1");
  await store.runs.pushed("r1", "boss/42", "sha2");
  await store.runs.pushed("r1", "boss/42", "sha2");

  const before = await store.ledger.read(item);
  expect(before.leftovers).toEqual({ sessions: 2, clones: 1, branches: ["boss/42"] });
  expect(before.pushed).toEqual(["sha1", "sha2"]);
  expect(before.runs[0]?.pushedSha).toBe("sha2");

  await store.sessions.dropAll("acme/widgets", 42);
  await store.ledger.clonesRemoved(item);
  await store.ledger.branchTried(item, "boss/42");
  expect((await store.ledger.read(item)).leftovers).toEqual({
    sessions: 0,
    clones: 0,
    branches: [],
  });

  await store.runs.pushed("r1", "boss/42", "sha3");
  expect((await store.ledger.read(item)).leftovers.branches).toEqual(["boss/42"]);
});

test("taint outlives the session that brought it", async () => {
  await using world = await openStoreWorld();
  const { store } = world;
  await orderRun(store, 42);
  const claim = await claimRun(store);
  await store.runs.start(claim, aStart("r1", claim));
  expect((await store.ledger.read(itemRef(42))).tainted).toBe(false);

  const told = { shown: [], seen: aSeen() };
  await store.runs.sessionChanged("r1", aSession("boss", 42, { tainted: true }), told);
  await store.runs.sessionChanged("r1", aSession("boss", 42, { tainted: false }), told);
  await store.runs.end(anEnd("r1", { session: null }));

  expect((await store.ledger.read(itemRef(42))).tainted).toBe(true);
  expect((await store.ledger.read(itemRef(7))).tainted).toBe(false);
  await store.sessions.put(aSession("boss", 7, { tainted: true }));
  expect((await store.ledger.read(itemRef(7))).tainted).toBe(true);
});

test("a pause of the repository or of everything pauses the item, one of an agent names it", async () => {
  await using world = await openStoreWorld();
  const { work, ledger } = world.store;
  await work.pause({ kind: "repo", repo: "Acme/Widgets" }, true);
  await work.pause({ kind: "agent", agent: "boss" }, true);

  expect((await ledger.read(itemRef(1))).paused).toEqual({ all: true, agents: ["boss"] });
  expect((await ledger.read(itemRef(1, "acme/other"))).paused.all).toBe(false);
});

test("what was said about a park is remembered, also of an item never looked at", async () => {
  await using world = await openStoreWorld();
  const { ledger } = world.store;

  expect(await ledger.said(itemRef(42))).toBeNull();
  await ledger.say(itemRef(42), "digest");
  expect(await ledger.said(itemRef(42))).toBe("digest");
  await ledger.say(itemRef(42), null);
  expect(await ledger.said(itemRef(42))).toBeNull();
});

test("an intent is written once, and what is done stays done", async () => {
  await using world = await openStoreWorld();
  const { effects } = world.store;
  const intent = { key: "k", run: "r1", item: itemRef(42), tool: "reply", at: NOON };

  const first = await effects.intend(intent);
  expect(first).toEqual({
    id: first.id,
    key: "k",
    run: "r1",
    tool: "reply",
    state: "intent",
    ref: null,
    text: "",
    at: NOON,
  });
  expect(await effects.openIntents(itemRef(42))).toEqual([first]);
  expect(await effects.openIntents(itemRef(7))).toEqual([]);

  await effects.finish(first.id, { state: "done", ref: 12, text: "commented" });
  await effects.finish(first.id, { state: "refused", ref: null, text: "late" });
  const again = await effects.intend({ ...intent, run: "r2", at: NOON + 1 });

  expect(again).toEqual({ ...first, state: "done", ref: 12, text: "commented" });
  expect(await effects.openIntents(itemRef(42))).toEqual([]);
});

test("an effect that was refused may be done later", async () => {
  await using world = await openStoreWorld();
  const { effects } = world.store;
  const { id } = await effects.intend({
    key: "k",
    run: "r1",
    item: itemRef(42),
    tool: "reply",
    at: NOON,
  });

  await effects.finish(id, { state: "refused", ref: null, text: "moved" });
  await effects.finish(id, { state: "done", ref: 3, text: "ok" });

  expect((await world.store.ledger.read(itemRef(42))).effects[0]).toMatchObject({ state: "done" });
});
