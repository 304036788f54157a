import { expect, test } from "bun:test";
import { fdatasync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Store } from "../../src/ports/store.ts";
import { openStore } from "../../src/store/open-store.ts";
import type { SyncFile } from "../../src/store/write-ahead-log.ts";
import { tempDirectory } from "../support/config-fixture.ts";
import { until } from "../support/postgres-world.ts";
import { aDelivery, issueMark } from "../support/store-world.ts";

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
