import { describe, expect, test } from "bun:test";
import { ForgeFailure } from "../../src/ports/forge.ts";
import { GitFailure } from "../../src/ports/git.ts";
import type { RunClaim } from "../../src/ports/store/claims.ts";
import type { RunDependencies } from "../../src/run/dependencies.ts";
import { executeRun } from "../../src/run/execute-run.ts";
import { openGates } from "../support/gates.ts";
import {
  anOrder,
  aResult,
  itemRef,
  markItem,
  openStoreWorld,
  type StoreWorld,
} from "../support/store-world.ts";
import { policyWith, snapshotWith } from "../support/world.ts";

const MINUTE = 60_000;
const NEVER = new AbortController().signal;

/** A claimed order of boss on item 42. */
async function claimOne({ store }: StoreWorld): Promise<RunClaim> {
  await markItem(store, 42);
  const reconcile = await store.work.claimReconcile("me", MINUTE);
  if (reconcile === null) throw new Error("nothing to reconcile");
  await store.work.settleReconcile(
    reconcile,
    aResult({ state: "waiting", decision: "run", order: anOrder(), parks: await parks(store) }),
  );
  const claim = await store.work.claimRun("me", MINUTE, { runs: 1, runsPerAgent: 1 });
  if (claim === null) throw new Error("nothing to run");
  return claim;
}

const parks = async (store: StoreWorld["store"]) => (await store.ledger.read(itemRef(42))).parks;

/** Everything a run touches until Claude would be asked; what is in `change` fails in its own way. */
async function parts(world: StoreWorld, change: Partial<RunDependencies>) {
  const { store, clock } = world;
  const logged: string[] = [];
  const ignore = (): void => undefined;
  const log = {
    debug: ignore,
    info: ignore,
    warn: (text: string) => logged.push(text),
    error: (text: string) => logged.push(text),
  };
  const closed: string[] = [];
  const workspace = {
    path: "/clone",
    headSha: "a".repeat(40),
    baseSha: "a".repeat(40),
    remoteSha: null,
    fresh: true,
    kept: null,
  };
  let id = 0;
  const deps = {
    store,
    log,
    gates: await openGates({ now: () => clock.now }),
    repository: () => ({ policy: policyWith(), setup: null, network: [], read: [] }),
    agentSettings: () => ({
      model: "claude-opus-5-5",
      modelGate: "model:test",
      tools: "t",
      identity: { name: "boss", email: "boss@example.org" },
    }),
    readSnapshot: async () => snapshotWith({ item: itemRef(42) }),
    git: { ...git, prepare: async () => workspace, readBase: async () => null },
    forge: { reader: {}, actor: () => ({}) },
    gateway: {
      open: async () => ({ meter: () => ({ usd: 0 }), close: async () => closed.push("gateway") }),
    },
    egress: { open: async () => null },
    sessionHome: () => `${world.directory}/home`,
    prompts: () => ({ texts: new Map(), system: "" }),
    sessionsChanged: ignore,
    pausedByFile: () => false,
    now: () => clock.now,
    newId: () => {
      id += 1;
      return `00000000-0000-4000-8000-${String(id).padStart(12, "0")}`;
    },
    newFence: () => "fence",
    chance: () => 0.5,
    metrics: { runEnded: ignore },
    ...change,
  } as unknown as RunDependencies;
  return { deps, logged, closed };
}

/** Nobody else uses the clone. */
const git = { use: async () => ({ release: (): void => undefined }) };

const broken = (): Promise<never> => Promise.reject(new Error("EMFILE: too many open files"));

describe("a run whose doors cannot be opened", () => {
  test.each([
    ["gateway", { gateway: { open: broken } }, []],
    ["egress", { egress: { open: broken } }, ["gateway"]],
  ] as const)(
    "is ended for want of the %s door, is no failure, and waits for its next attempt",
    async (which, change, expected) => {
      await using world = await openStoreWorld();
      const { deps, logged, closed } = await parts(
        world,
        change as unknown as Partial<RunDependencies>,
      );
      await executeRun(await claimOne(world), deps, NEVER);
      const { runs, parks: waits } = await world.store.ledger.read(itemRef(42));
      expect(runs).toMatchObject([
        { outcome: "parked", reason: `the ${which} door could not be opened` },
      ]);
      expect(runs[0]?.endedAt).toBe(world.clock.now);
      expect(closed).toEqual([...expected]);
      expect(waits).toMatchObject([
        { row: "implement", name: "not_prepared", attempt: 1, until: world.clock.now + 10_000 },
      ]);
      expect(logged).toEqual(["run could not be carried out"]);
      // The lease is given back: the item is looked at again.
      expect(await world.store.work.claimReconcile("me", MINUTE)).not.toBeNull();
    },
  );
});

describe("a run that cannot be prepared", () => {
  const failing = (error: Error): Partial<RunDependencies> =>
    ({
      git: { ...git, prepare: () => Promise.reject(error) },
    }) as unknown as Partial<RunDependencies>;

  test.each([
    [
      "git is broken",
      new GitFailure("broken", "git checkout exited with 128"),
      "not_prepared",
      10_000,
    ],
    [
      "the clone failed",
      new GitFailure("unavailable", "Could not connect"),
      "not_prepared",
      10_000,
    ],
    [
      "the base is missing",
      new GitFailure("no_base", "acme/widgets has no branch main"),
      "no_base",
      15 * MINUTE,
    ],
    [
      "the token is refused",
      new GitFailure("auth", "Authentication failed"),
      "no_access",
      15 * MINUTE,
    ],
    ["the forge is away", new ForgeFailure("unavailable", "GET: away"), "not_prepared", 10_000],
    [
      "the forge names a time",
      new ForgeFailure("rate_limited", "GET: wait", { retryAt: 1e13 }),
      "not_prepared",
      null,
    ],
    ["something is a bug", new TypeError("undefined is not a function"), "not_prepared", 10_000],
  ] as const)("waits when %s, and leaves no run", async (_, error, name, ms) => {
    await using world = await openStoreWorld();
    const { deps } = await parts(world, failing(error));
    await executeRun(await claimOne(world), deps, NEVER);
    const { runs, parks: waits } = await world.store.ledger.read(itemRef(42));
    expect(runs).toEqual([]);
    const until = ms === null ? 1e13 : world.clock.now + ms;
    expect(waits).toMatchObject([{ row: "implement", name, attempt: 1, until }]);
    expect(waits[0]?.reason).not.toContain("128");
  });

  test("is tried later and later, and counted anew once it was carried out", async () => {
    await using world = await openStoreWorld();
    const { store, clock } = world;
    const { deps } = await parts(world, failing(new GitFailure("broken", "no")));
    const waits: number[] = [];
    for (let attempt = 1; attempt <= 7; attempt += 1) {
      await executeRun(await claimOne(world), deps, NEVER);
      const [park] = await parks(store);
      expect(park?.attempt).toBe(attempt);
      waits.push(((park?.until ?? 0) - clock.now) / 1000);
      clock.now = park?.until ?? 0;
    }
    expect(waits).toEqual([10, 20, 40, 80, 160, 320, 480]);
    const claim = await claimOne(world);
    await store.work.settleRun(claim, { notBefore: null, park: null, row: "implement" });
    expect(await parks(store)).toEqual([]);
  });

  test("closes the gate of the disk when that is full", async () => {
    await using world = await openStoreWorld();
    const gates = await openGates({
      probes: { disk: async () => ({ ok: false, reason: "full", until: null }) },
    });
    const { deps } = await parts(world, {
      ...failing(new GitFailure("disk", "No space left on device")),
      gates,
    });
    await executeRun(await claimOne(world), deps, NEVER);
    expect(gates.closed()).toMatchObject([{ name: "disk", reason: "full" }]);
  });
});
