import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { fdatasync, readlinkSync } from "node:fs";
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Store } from "../../src/ports/store.ts";
import { openStore } from "../../src/store/open-store.ts";
import type { SyncFile } from "../../src/store/write-ahead-log.ts";
import { tempDirectory } from "../support/config-fixture.ts";
import { until } from "../support/postgres-world.ts";
import { aDelivery, anOrder, aResult, aStart, issueMark, itemRef } from "../support/store-world.ts";

const REPO = "acme/widgets";

/** One write of each kind: a batch, a transaction, a statement by itself, one that also returns. */
const WRITES: readonly (readonly [string, (store: Store) => Promise<unknown>])[] = [
  ["a delivery", async (store) => await store.deliveries.record(aDelivery("d1"), [issueMark(1)])],
  ["a claim", async (store) => await store.work.claimSweep("one", 1000)],
  ["a value", async (store) => await store.meta.set("name", "value")],
  ["a pause", async (store) => await store.work.pause({ kind: "repo", repo: REPO }, true)],
];

for (const [name, write] of WRITES) {
  test(`${name} is answered when the disk has confirmed it, not before`, async () => {
    const disk = heldDisk();
    await using world = await openWorld(disk.sync);
    disk.hold();
    let isAnswered = false;
    const answer = write(world.store).then(() => {
      isAnswered = true;
    });

    await until("the disk is asked", () => disk.waiting() === 1);
    // A turn of the loop and more, in which an answer that does not wait would come.
    await new Promise((resolve) => setImmediate(resolve));
    expect(isAnswered).toBe(false);
    disk.release();
    await answer;
  });
}

test("it is the log that is brought to the disk, and reading costs nothing there", async () => {
  const synced: string[] = [];
  await using world = await openWorld(async (fd) => {
    synced.push(readlinkSync(`/proc/self/fd/${fd}`));
    await promisify(fdatasync)(fd);
  });
  synced.length = 0;
  await world.store.meta.set("name", "value");
  expect(synced).toEqual([`${world.path}-wal`]);
  await world.store.meta.get("name");
  await world.store.deliveries.list(10, null);
  await world.store.work.nextDue();
  expect(synced).toHaveLength(1);
});

test("deliveries that come while the disk is busy share the next sync", async () => {
  const disk = heldDisk();
  await using world = await openWorld(disk.sync);
  disk.hold();
  const record = async (id: string) => await world.store.deliveries.record(aDelivery(id), []);
  const first = record("first");
  await until("the disk is asked", () => disk.waiting() === 1);
  const before = disk.asked();
  const others = Array.from({ length: 20 }, async (_, at) => await record(`other-${at}`));
  disk.release();
  await Promise.all([first, ...others]);
  expect(disk.asked() - before).toBe(1);
});

test("who waits for the disk holds up nobody else, and those who come meanwhile share the next sync", async () => {
  const disk = heldDisk();
  await using world = await openWorld(disk.sync);
  const { work } = world.store;
  disk.hold();
  const answered: string[] = [];
  const note = (name: string) => () => answered.push(name);
  const first = work.mark([issueMark(1)], true).then(note("first"));
  await until("the disk is asked", () => disk.waiting() === 1);
  const before = disk.asked();

  const others = [2, 3, 4].map(async (number) => {
    await work.mark([issueMark(number)], true).then(note(`${number}`));
  });
  await until("all is committed", async () => (await work.unresolved(10)).length === 4);
  expect(answered).toEqual([]);
  expect(disk.asked() - before).toBe(0);
  disk.release();
  await Promise.all([first, ...others]);
  expect(disk.asked() - before).toBe(1);
});

test("the disk is never asked twice at once, and after each write once more at most", async () => {
  let running = 0;
  let most = 0;
  let asked = 0;
  await using world = await openWorld(async (fd) => {
    asked += 1;
    running += 1;
    most = Math.max(most, running);
    await promisify(fdatasync)(fd);
    running -= 1;
  });
  asked = 0;
  const writers = Array.from({ length: 8 }, async (_, writer) => {
    for (let turn = 0; turn < 10; turn += 1) {
      await world.store.work.mark([issueMark(100 * writer + turn + 1)], true);
    }
  });

  await Promise.all(writers);

  expect(most).toBe(1);
  expect(asked).toBeLessThan(80);
});

test("a delivery wakes the loop when it is committed, and is answered when the disk has it", async () => {
  const disk = heldDisk();
  await using world = await openWorld(disk.sync);
  const { deliveries, work } = world.store;
  disk.hold();
  const seen: string[] = [];
  const woken = new Promise<void>((resolve) => {
    world.store.onWake(() => {
      seen.push("woken");
      resolve();
    });
  });
  const answer = deliveries.record(aDelivery("d1"), [issueMark(1)]).then((kept) => seen.push(kept));
  await woken;
  expect(await work.unresolved(10)).toHaveLength(1);
  await until("the disk is asked", () => disk.waiting() === 1);
  expect(seen).toEqual(["woken"]);
  disk.release();
  await answer;
  expect(seen).toEqual(["woken", "accepted"]);
});

test("a statement by itself that waits for the disk holds up nobody else either", async () => {
  const disk = heldDisk();
  await using world = await openWorld(disk.sync);
  const { meta, work } = world.store;
  disk.hold();
  let isWritten = false;
  const written = meta.set("name", "value").then(() => {
    isWritten = true;
  });
  await until("the disk is asked", () => disk.waiting() === 1);
  expect(await meta.get("name")).toBe("value");
  expect(await work.claimReconcile("one", 1000)).toBeNull();
  expect(isWritten).toBe(false);
  disk.release();
  await written;
});

test("the queue itself does not wait for the disk: the record of a process does, and brings all before it there", async () => {
  const disk = heldDisk();
  await using world = await openWorld(disk.sync);
  const { work, runs } = world.store;
  await work.mark([issueMark(1)], true);
  const before = disk.asked();
  disk.hold();

  const [row] = await work.unresolved(1);
  if (row === undefined) throw new Error("nothing is marked");
  await work.resolve([{ row, items: [itemRef(1)] }]);
  const look = await work.claimReconcile("one", 1000);
  if (look === null) throw new Error("nothing is due");
  expect(await work.settleReconcile(look, aResult({ order: anOrder() }))).toBe(true);
  const run = await work.claimRun("one", 1000, { runs: 1, runsPerAgent: 1 });
  if (run === null) throw new Error("nothing to run");
  expect(await runs.start(run, aStart("r1", run))).toBe(1);
  expect(await work.heartbeat(run, 2000)).toMatchObject({ held: true });
  expect(disk.asked() - before).toBe(0);

  let isOnRecord = false;
  const spawned = runs.spawned("r1", { pid: 7, startTicks: "1", bootId: "boot" }).then(() => {
    isOnRecord = true;
  });
  await until("the disk is asked", () => disk.waiting() === 1);
  expect(isOnRecord).toBe(false);
  disk.release();
  await spawned;
  expect(disk.asked() - before).toBe(1);
});

test("closing brings to the disk what nobody has waited for", async () => {
  const disk = heldDisk();
  const world = await openWorld(disk.sync);
  await world.store.work.mark([issueMark(1)], true);
  const [row] = await world.store.work.unresolved(1);
  if (row === undefined) throw new Error("nothing is marked");
  await world.store.work.resolve([{ row, items: [itemRef(1)] }]);
  const before = disk.asked();

  await world[Symbol.asyncDispose]();

  expect(disk.asked() - before).toBe(1);
});

test("closing says when the disk does not confirm what nobody has waited for", async () => {
  const disk = heldDisk();
  await using directory = await tempDirectory();
  const { store, told } = await openIn(directory.path, disk.sync);
  await store.work.mark([issueMark(1)], true);
  const [row] = await store.work.unresolved(1);
  if (row === undefined) throw new Error("nothing is marked");
  disk.fail(new Error("EIO: i/o error, fdatasync"));
  await store.work.resolve([{ row, items: [itemRef(1)] }]);

  await expect(store.close()).rejects.toMatchObject({ kind: "unsynced" });

  expect(told()).toBe(1);
});

test("a disk that has failed once is never believed again", async () => {
  const disk = heldDisk();
  let told = 0;
  await using world = await openWorld(disk.sync, () => {
    told += 1;
  });
  disk.fail(new Error("EIO: i/o error, fdatasync"));
  for (const [, write] of WRITES) {
    await expect(write(world.store)).rejects.toMatchObject({ kind: "unsynced" });
  }
  await expect(world.store.meta.set("name", "value")).rejects.toThrow(/EIO.*start again/);
  disk.fail(null);
  await expect(world.store.meta.set("name", "value")).rejects.toMatchObject({ kind: "unsynced" });
  expect(told).toBe(1);
  expect(await world.store.deliveries.list(10, null)).toBeDefined();
});

test("closing waits for the disk, and for the writes that wait for it", async () => {
  const disk = heldDisk();
  await using directory = await tempDirectory();
  const { path, store, told } = await openIn(directory.path, disk.sync);
  disk.hold();
  const writes = ["one", "two", "three"].map(async (name) => await store.meta.set(name, name));
  await until("the disk is asked", () => disk.waiting() === 1);
  let isClosed = false;
  const closing = store.close().then(() => {
    isClosed = true;
  });
  for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  expect(isClosed).toBe(false);
  disk.release();
  await Promise.all([...writes, closing]);
  expect(told()).toBe(0);
  using after = new Database(path, { readonly: true });
  expect(after.query("select key from meta where key = value order by key").values()).toEqual([
    ["one"],
    ["three"],
    ["two"],
  ]);
});

test("a start brings to the disk what it finds in the log before it trusts it", async () => {
  const disk = heldDisk();
  await using world = await openWorld(disk.sync);
  disk.fail(new Error("EIO: i/o error, fdatasync"));
  await expect(world.store.meta.set("name", "value")).rejects.toMatchObject({ kind: "unsynced" });

  // The files as the kernel shows them when the process has ended at once.
  await using directory = await tempDirectory();
  const path = join(directory.path, "claude-hooks.db");
  for (const end of ["", "-wal"]) await copyFile(`${world.path}${end}`, `${path}${end}`);
  const next = await openStore({ path, now: () => 0, sync: async () => undefined });
  try {
    expect(await next.meta.get("name")).toBe("value");
    // The disk after a power cut, when it never got the log.
    const alone = join(directory.path, "alone.db");
    await copyFile(path, alone);
    using left = new Database(alone);
    expect(left.query("select value from meta where key = 'name'").values()).toEqual([["value"]]);
  } finally {
    await next.close();
  }
});

/** A disk whose syncs can be held up, counted and made to fail. */
function heldDisk() {
  let gate: PromiseWithResolvers<void> | null = null;
  let failure: Error | null = null;
  let waiting = 0;
  let asked = 0;
  const sync: SyncFile = async (fd) => {
    asked += 1;
    waiting += 1;
    await gate?.promise;
    waiting -= 1;
    if (failure !== null) throw failure;
    await promisify(fdatasync)(fd);
  };
  return {
    sync,
    waiting: () => waiting,
    asked: () => asked,
    hold: () => {
      gate = Promise.withResolvers();
    },
    release: () => {
      gate?.resolve();
      gate = null;
    },
    fail: (error: Error | null) => {
      failure = error;
    },
  };
}

/** A store that the test itself closes; `told`: how often it said that something is not on the disk. */
async function openIn(directory: string, sync: SyncFile) {
  const path = join(directory, "claude-hooks.db");
  let times = 0;
  const onUnsynced = (): void => {
    times += 1;
  };
  const store = await openStore({ path, now: () => 0, sync, onUnsynced });
  return { path, store, told: () => times };
}

async function openWorld(sync: SyncFile, onUnsynced: () => void = () => undefined) {
  const directory = await tempDirectory();
  const path = join(directory.path, "claude-hooks.db");
  const store = await openStore({ path, now: () => 0, sync, onUnsynced });
  return {
    ...{ path, store },
    async [Symbol.asyncDispose]() {
      await store.close();
      await directory[Symbol.asyncDispose]();
    },
  };
}
