import { expect, test } from "bun:test";
import type { Snapshot } from "../../src/domain/snapshot.ts";
import { createForge } from "../../src/forge/create-forge.ts";
import { type ChangedItem, ForgeFailure } from "../../src/ports/forge.ts";
import { openStore } from "../../src/store/open-store.ts";
import type { WorkDependencies } from "../../src/work/dependencies.ts";
import { createSnapshotReader } from "../../src/work/read-snapshot.ts";
import { resolveMarks } from "../../src/work/resolve-marks.ts";
import { sweep } from "../../src/work/sweep.ts";
import { openStoreWorld } from "../support/store-world.ts";
import { policyWith } from "../support/world.ts";
import { ISSUES_OF_REPOSITORY, manyItemsForge, seedLocal } from "./many-items-forge.ts";

const MINUTE_MS = 60_000;
/** What one sweep may cost, the reading it causes included, when nothing changed. */
const REQUESTS_MAX = 300;

/** The real store, forge client, sweep and reconcile against a forge with 50 open items in each repository, all of them local. */
async function manyItemsWorld(repositories: number) {
  const database = await openStoreWorld();
  const started = Date.now();
  const forge = manyItemsForge(repositories, started);
  await database.store.close();
  seedLocal(database.path, forge.items, started - 5 * MINUTE_MS);
  const store = await openStore({ path: database.path, now: Date.now });
  const ignore = () => undefined;
  const log = { debug: ignore, info: ignore, warn: ignore, error: ignore };
  const client = createForge({
    url: forge.url,
    kind: "forgejo",
    agents: ["boss", "reviewer", "code-lead"].map((name) => ({
      name,
      login: name,
      token: () => name,
    })),
    readerAgent: "boss",
    now: Date.now,
    requestsPerSecond: 100_000,
    log,
  });
  const policy = (repo: string) => policyWith({ repo });
  const readSnapshot = createSnapshotReader({ reader: client.reader, store, policy });
  const read: string[] = [];
  const deps = {
    forge: client,
    sweepReader: client.sweepReader,
    store,
    policy,
    policies: () => [],
    agents: () => policyWith().agents,
    readSnapshot: async (item) => {
      read.push(`${item.repo}#${item.number}`);
      return await readSnapshot(item);
    },
    now: Date.now,
    chance: () => 0.5,
    log,
  } as Partial<WorkDependencies> as WorkDependencies;
  return {
    forge,
    store,
    /** Sweeps and reads what it marked; resolves with what that cost and which items were read. */
    sweepOnce: async () => {
      read.length = 0;
      forge.takeRequests();
      expect(await sweep(deps)).toBe(true);
      await resolveMarks(deps);
      for (;;) {
        const claim = await store.work.claimReconcile("test", MINUTE_MS);
        if (claim === null) break;
        // What reconcile asks the forge for.
        const snapshot = await deps.readSnapshot(claim.item);
        await store.work.settleReconcile(claim, {
          ...{ decision: "nothing", reason: "", state: "idle", lookAgainAt: null, order: null },
          ...{ snapshot, pull: snapshot.pull?.number ?? null, parks: [] },
        });
      }
      return { requests: forge.takeRequests(), read: new Set(read) };
    },
    [Symbol.asyncDispose]: async () => {
      await forge[Symbol.asyncDispose]();
      await store.close();
      await database[Symbol.asyncDispose]();
    },
  };
}

test("a sweep that finds nothing new costs the same few requests whatever the number of repositories", async () => {
  const costs: number[] = [];
  for (const repositories of [200, 400]) {
    await using world = await manyItemsWorld(repositories);
    expect(world.forge.items).toHaveLength(repositories * ISSUES_OF_REPOSITORY);
    await world.store.meta.set("sweep:since", `${Date.now() - MINUTE_MS}`);

    for (let turn = 0; turn < 2; turn += 1) {
      const { requests, read } = await world.sweepOnce();
      expect(requests.length).toBeLessThanOrEqual(REQUESTS_MAX);
      expect(read.size).toBe(20);
      costs.push(requests.length);
    }
  }
  expect(costs.slice(2)).toEqual(costs.slice(0, 2));
}, 60_000);

test("what left all searches of the agents is found at once, and what moves no time when its turn comes", async () => {
  await using world = await manyItemsWorld(2);
  await world.store.meta.set("sweep:since", `${Date.now() - MINUTE_MS}`);
  const { items } = world.forge;
  const [unassigned, closed, dismissed] = [items[90], items[80], items[70]];
  if (unassigned === undefined || closed === undefined || dismissed === undefined) {
    throw new Error("there are no such items");
  }
  Object.assign(unassigned, { assigned: false, updatedAt: Date.now() });
  Object.assign(closed, { state: "closed", assigned: false, updatedAt: Date.now() });
  dismissed.dismissed = true;
  const shown = async ({ item }: typeof unassigned): Promise<Snapshot | null> =>
    await world.store.work.snapshot(item);

  const first = await world.sweepOnce();
  expect(first.read.size).toBe(22);
  expect((await shown(unassigned))?.assignees).toEqual([]);
  expect((await shown(closed))?.state).toBe("closed");
  expect((await shown(dismissed))?.pull?.reviews).toEqual([]);

  const read = new Set(first.read);
  for (let turn = 1; turn < items.length / 20; turn += 1) {
    for (const name of (await world.sweepOnce()).read) read.add(name);
  }
  expect((await shown(dismissed))?.pull?.reviews[0]?.dismissed).toBe(true);
  expect(read.size).toBe(items.length);
}, 30_000);

test("the very first sweep of ten thousand open items is complete, and finds every one that is not known", async () => {
  await using world = await manyItemsWorld(200);
  const fresh = world.forge.items[4321];
  if (fresh === undefined) throw new Error("there is no such item");
  fresh.updatedAt = Date.now() - 30 * MINUTE_MS;

  const { read } = await world.sweepOnce();

  expect(read).toContain(`${fresh.item.repo}#${fresh.item.number}`);
  expect(read.size).toBe(21);
}, 60_000);

test.each([
  ["few owners", ["acme/a", "acme/b", "beta/c"], ["acme", "beta"]],
  ["all of an owner", ["acme/*"], ["acme"]],
  ["many owners", Array.from({ length: 11 }, (_, index) => `o${index}/r`), [null]],
] as const)(
  "of %s a label is asked for once each, and only where it gives work",
  async (_name, repos, owners) => {
    await using database = await openStoreWorld("memory");
    const asked: (string | null)[] = [];
    const where = repos[0].replace("*", "any");
    const policies = repos.map((repo) =>
      policyWith({ repo, trigger: { assignee: true, label: "agent" } }),
    );
    const found = (repo: string): ChangedItem => ({ repo, number: 1, updatedAt: 1, state: "open" });
    const deps = {
      forge: { reader: { clockOffset: () => 0 } },
      sweepReader: {
        clockOffset: () => 0,
        changedWithLabel: async (owner: string | null, label: string) => {
          asked.push(owner);
          expect(label).toBe("agent");
          return [found(where), found("nobody/elsewhere"), found("acme/unlabelled")];
        },
      },
      store: database.store,
      policy: (repo: string) =>
        repo === "acme/unlabelled"
          ? policyWith({ repo })
          : (policies.find(({ repository }) => new Bun.Glob(repository.repo).match(repo)) ?? null),
      policies: () => policies,
      agents: () => [],
      now: () => database.clock.now,
      log: { debug: () => undefined },
    } as Partial<Record<keyof WorkDependencies, unknown>> as WorkDependencies;

    expect(await sweep(deps)).toBe(true);

    expect(asked).toEqual([...owners]);
    const marks = await database.store.work.unresolved(10);
    expect(marks.map(({ mark }) => mark.repo)).toEqual([where]);
  },
);

test.each([
  ["unavailable", ["forge"]],
  ["auth", ["forge"]],
  ["malformed", []],
] as const)(
  "a sweep that gets no answer (%s) is not complete and makes the forge suspect once: %j",
  async (kind, expected) => {
    await using database = await openStoreWorld("memory");
    const suspected: string[] = [];
    const deps = {
      forge: { reader: { clockOffset: () => 0 } },
      sweepReader: {
        changedFor: async () => {
          throw new ForgeFailure(kind, "GET /repos/issues/search: away");
        },
      },
      gates: { suspect: async (name: string) => suspected.push(name) },
      store: database.store,
      policy: () => null,
      policies: () => [],
      agents: () => policyWith().agents,
      now: () => database.clock.now,
      log: { debug: () => undefined, warn: () => undefined },
    } as Partial<Record<keyof WorkDependencies, unknown>> as WorkDependencies;

    expect(await sweep(deps)).toBe(false);

    expect(suspected).toEqual([...expected]);
  },
);
