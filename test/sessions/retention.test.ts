import { describe, expect, test } from "bun:test";
import { chmod, mkdir, readdir, symlink, utimes } from "node:fs/promises";
import { join } from "node:path";
import { createSessionHomes } from "../../src/main/session-homes.ts";
import type { TranscriptStore } from "../../src/ports/transcripts.ts";
import { dropUnused, type Retention, retainForEver } from "../../src/sessions/retention.ts";
import {
  anOrder,
  aSession,
  claimReconcile,
  claimRun,
  itemRef,
  markItem,
  NOON,
  openStoreWorld,
  orderRun,
  putSessions,
  REPO,
  type StoreWorld,
} from "../support/store-world.ts";
import { transcriptWorld } from "../support/transcript-world.ts";

const DAY_MS = 24 * 60 * 60_000;
const ignore = () => undefined;
const LOG = { debug: ignore, info: ignore, warn: ignore, error: ignore };
const NOTHING = { sessions: 0, homes: 0, transcripts: 0 };

interface World extends StoreWorld {
  readonly retention: Retention;
  /** Makes an agent's directory for an item with a transcript, all of it last written at that time. */
  home(agent: string, number: number, writtenAt: number): Promise<string>;
  /** `<number>/<agent>` of every directory. */
  homes(): Promise<readonly string[]>;
  readonly changes: { count: number };
}

/** Sessions of 14 days, on NOON of which the clock stands 14 days and a millisecond later. */
async function retentionWorld(transcripts: TranscriptStore | null = null): Promise<World> {
  const world = await openStoreWorld();
  world.clock.now = NOON + 14 * DAY_MS + 1;
  const homes = createSessionHomes(world.directory, LOG);
  const changes = { count: 0 };
  return {
    ...world,
    changes,
    retention: {
      ...{ store: world.store, homes, transcripts, owner: "me", log: LOG },
      unusedMs: 14 * DAY_MS,
      now: () => world.clock.now,
      sessionsChanged: () => {
        changes.count += 1;
      },
    },
    async home(agent: string, number: number, writtenAt: number) {
      const home = homes.path(itemRef(number), agent);
      const file = join(home, "projects/-clone/11111111-0000-4000-8000-000000000001.jsonl");
      await Bun.write(file, "{}\n");
      for (const path of [file, join(file, ".."), join(home, "projects"), home]) {
        await utimes(path, writtenAt / 1000, writtenAt / 1000);
      }
      return home;
    },
    async homes() {
      const found: string[] = [];
      for await (const { number, agent } of homes.list()) found.push(`${number}/${agent}`);
      return found.toSorted();
    },
  };
}

const keys = async ({ store }: StoreWorld) => (await store.sessions.all()).map(({ key }) => key);
const newest = async ({ store }: StoreWorld, number: number) =>
  (await store.conversations.of(aSession("boss", number).key, 1))[0];

describe("a session that was not used for its days", () => {
  test("is dropped with its transcript and that as the reason; a younger one stays", async () => {
    await using world = await retentionWorld();
    const young = aSession("boss", 2, { updatedAt: NOON + 1 });
    await putSessions(world.store, [aSession("boss", 1), aSession("reviewer", 1), young]);
    await world.home("boss", 1, NOON);
    await world.home("boss", 2, NOON);
    await markItem(world.store, 1);

    expect(await dropUnused(world.retention)).toEqual({ ...NOTHING, sessions: 2 });

    expect(await keys(world)).toEqual([young.key]);
    expect(await world.homes()).toEqual(["2/boss"]);
    expect(await readdir(join(world.directory, "claude", REPO))).toEqual(["2"]);
    expect(await newest(world, 1)).toMatchObject({ endedWhy: "retention" });
    expect(world.changes.count).toBe(1);
    expect(await dropUnused(world.retention)).toEqual(NOTHING);
  });

  test("leaves the item as it was: its mark is still there, and it can be claimed", async () => {
    await using world = await retentionWorld();
    await world.store.sessions.put(aSession("boss", 1));
    await markItem(world.store, 1);

    expect((await dropUnused(world.retention)).sessions).toBe(1);

    expect((await claimReconcile(world.store)).item.number).toBe(1);
  });

  test.each([
    ["a run of its item is alive", "run"],
    ["its item is being looked at", "reconcile"],
    ["its agent's order waits", "order"],
    ["its transcript is newer", "file"],
  ])("stays while %s", async (_what, kind) => {
    await using world = await retentionWorld();
    await world.store.sessions.put(aSession("boss", 1));
    await world.home("boss", 1, kind === "file" ? NOON + 1 : NOON);
    if (kind === "reconcile") {
      await markItem(world.store, 1);
      await claimReconcile(world.store);
    }
    if (kind === "order" || kind === "run") await orderRun(world.store, 1);
    if (kind === "run") await claimRun(world.store);

    expect(await dropUnused(world.retention)).toEqual(NOTHING);

    expect(await keys(world)).toEqual([aSession("boss", 1).key]);
    expect(await world.homes()).toEqual(["1/boss"]);
    expect((await newest(world, 1))?.endedWhy).toBeNull();
  });

  test("stays when it is used between the look and the lease", async () => {
    await using world = await retentionWorld();
    await world.store.sessions.put(aSession("boss", 1));
    await markItem(world.store, 1);
    const { store } = world;
    const claimItem: typeof store.work.claimItem = async (...args) => {
      await store.sessions.put(aSession("boss", 1, { updatedAt: world.clock.now }));
      return await store.work.claimItem(...args);
    };
    const late = { ...store, work: { ...store.work, claimItem } };

    expect(await dropUnused({ ...world.retention, store: late })).toEqual(NOTHING);
    expect(await keys(world)).toHaveLength(1);
  });

  test("is dropped though another agent's order waits on the same item", async () => {
    await using world = await retentionWorld();
    await putSessions(world.store, [aSession("boss", 1), aSession("reviewer", 1)]);
    await orderRun(world.store, 1, anOrder({ agent: "reviewer", skill: "review" }));

    await dropUnused(world.retention);

    expect(await keys(world)).toEqual([aSession("reviewer", 1).key]);
  });
});

describe("a directory that belongs to no session", () => {
  test("goes when it is as old; one of a session, a younger one and a foreign one stay", async () => {
    await using world = await retentionWorld();
    await world.store.sessions.put(aSession("boss", 1, { updatedAt: NOON + 1 }));
    await world.home("boss", 1, NOON);
    await world.home("boss", 2, NOON);
    await world.home("boss", 3, NOON + 2);
    await mkdir(join(world.directory, "claude/acme/widgets/notes/boss"), { recursive: true });

    expect(await dropUnused(world.retention)).toEqual({ ...NOTHING, homes: 1 });

    expect(await world.homes()).toEqual(["1/boss", "3/boss"]);
    expect(await readdir(join(world.directory, "claude", REPO))).toContain("notes");
  });

  test("stays while a run of its item is being prepared", async () => {
    await using world = await retentionWorld();
    await world.home("boss", 1, NOON);
    await orderRun(world.store, 1);
    await claimRun(world.store);

    expect(await dropUnused(world.retention)).toEqual(NOTHING);
    expect(await world.homes()).toEqual(["1/boss"]);
  });

  test("goes as a whole, whatever the agent has made of it, and nothing a link names goes with it", async () => {
    await using world = await retentionWorld();
    const outside = join(world.directory, "outside");
    await Bun.write(join(outside, "kept"), "kept");
    const home = await world.home("boss", 1, NOON);
    await symlink(outside, join(home, "link"));
    await mkdir(join(home, "closed"));
    await chmod(join(home, "closed"), 0);
    await utimes(home, NOON / 1000, NOON / 1000);
    await mkdir(join(world.directory, "claude/acme/widgets/7"), { recursive: true });
    await symlink(outside, join(world.directory, "claude/acme/widgets/7/boss"));

    expect(await dropUnused(world.retention)).toEqual({ ...NOTHING, homes: 1 });

    expect(await world.homes()).toEqual([]);
    expect(await readdir(outside)).toEqual(["kept"]);
  });
});

describe("with shared transcripts", () => {
  const ME = { owner: "me", fence: 1 };
  const keyOf = (number: number) => aSession("boss", number).key;

  test("a session goes with its own by when it was last taken, and copies on this host go alone", async () => {
    await using shared = await transcriptWorld();
    await using world = await retentionWorld(shared.store);
    shared.clock.now = NOON;
    for (const number of [1, 2, 3]) {
      await world.store.sessions.put(aSession("boss", number));
      await world.home("boss", number, NOON);
      if (number === 2) shared.clock.now = world.clock.now;
      await shared.store.take(keyOf(number), ME);
      const key = { session: keyOf(number), id: "one" };
      await shared.store.append(key, ME, [{ id: "a", text: "{}" }]);
    }
    await world.store.sessions.put(aSession("boss", 3, { updatedAt: NOON + 1 }));

    expect(await dropUnused(world.retention)).toEqual({ sessions: 1, homes: 2, transcripts: 0 });

    expect(await keys(world)).toEqual([keyOf(2), keyOf(3)]);
    expect(await shared.store.has({ session: keyOf(1), id: "one" })).toBe(false);
    expect(await shared.store.has({ session: keyOf(2), id: "one" })).toBe(true);
    expect(await world.homes()).toEqual([]);
  });

  test("those of a session that is not known any more go, too", async () => {
    await using shared = await transcriptWorld();
    await using world = await retentionWorld(shared.store);
    shared.clock.now = NOON;
    for (const number of [1, 2]) {
      await shared.store.take(keyOf(number), ME);
      const key = { session: keyOf(number), id: "one" };
      await shared.store.append(key, ME, [{ id: "a", text: "{}" }]);
    }
    await world.store.sessions.put(aSession("boss", 1, { updatedAt: NOON + 1 }));

    expect(await dropUnused(world.retention)).toEqual({ ...NOTHING, transcripts: 1 });

    expect(await shared.store.has({ session: keyOf(1), id: "one" })).toBe(true);
    expect(await shared.store.has({ session: keyOf(2), id: "one" })).toBe(false);
  });
});

test("a turn that breaks is said, and the next one comes", async () => {
  await using world = await retentionWorld();
  await world.store.sessions.put(aSession("boss", 1, { updatedAt: 0 }));
  const warnings: string[] = [];
  const ended = new AbortController();
  let turns = 0;
  const unused: Retention["store"]["sessions"]["unused"] = async (...args) => {
    turns += 1;
    if (turns === 1) throw new Error("disk I/O error");
    return await world.store.sessions.unused(...args);
  };
  const store = { ...world.store, sessions: { ...world.store.sessions, unused } };
  const done = retainForEver({
    ...{ ...world.retention, store, unusedMs: 1000, signal: ended.signal },
    log: { ...LOG, warn: (message) => warnings.push(message) },
  });

  const deadline = performance.now() + 10_000;
  while ((await keys(world)).length > 0 && performance.now() < deadline) await Bun.sleep(20);
  ended.abort();
  await done;

  expect(await keys(world)).toEqual([]);
  expect(warnings).toEqual(["unused sessions could not be dropped"]);
});
