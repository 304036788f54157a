import { afterEach, expect, test } from "bun:test";
import { ForgeFailure } from "../../src/ports/forge.ts";
import type { RunClaim } from "../../src/ports/store/claims.ts";
import type { RunDependencies } from "../../src/run/dependencies.ts";
import { type RunWatch, watchRun } from "../../src/run/watch-run.ts";
import { HEAD, policyWith, snapshotWith } from "../support/world.ts";

const claim: RunClaim = {
  item: { repo: "acme/widgets", number: 1 },
  owner: "me",
  fence: 1,
  mark: 1,
  order: {
    agent: "boss",
    skill: "implement",
    fingerprint: "boss/implement/act:100",
    reason: "alice assigned boss",
    asked: null,
    headSha: HEAD,
    reviews: [],
  },
};

let watch: RunWatch | null = null;

afterEach(async () => {
  await watch?.end();
});

/** Watches with a clock that a test moves; `readSnapshot` is what the forge answers. */
function start(readSnapshot: RunDependencies["readSnapshot"], stallMinutes = 10) {
  const seen = { beats: 0, now: 1_000_000 };
  const ignore = () => undefined;
  const beat = async () => {
    seen.beats += 1;
    return { held: true, mark: claim.mark + 1 };
  };
  const deps = {
    store: {
      work: {
        ...{ heartbeat: beat, leaseState: beat },
        paused: async () => [],
        held: async () => null,
      },
    },
    readSnapshot,
    now: () => seen.now,
    pausedByFile: () => false,
    log: { debug: ignore, info: ignore, warn: ignore, error: ignore },
  } as unknown as RunDependencies;
  const policy = policyWith();
  const settings = {
    policy: { ...policy, limits: { ...policy.limits, stallMinutes } },
    setup: null,
    network: [],
    read: [],
  };
  watch = watchRun(claim, deps, { settings, ending: new AbortController().signal });
  return { seen, watch };
}

async function until(probe: () => boolean): Promise<void> {
  const end = performance.now() + 10_000;
  while (!probe()) {
    if (performance.now() > end) throw new Error("it did not happen in time");
    await Bun.sleep(10);
  }
}

test("a forge that never answers costs neither the lease nor the end of the run", async () => {
  const { seen, watch: run } = start(() => new Promise(() => undefined));
  await until(() => seen.beats >= 3);
  expect(run.stopped()).toBeNull();
  await run.end();
});

test("a closed issue stops the run; what comes after its end does not", async () => {
  const closed = snapshotWith({ state: "closed" });
  const first = start(async () => closed);
  await until(() => first.watch.stopped() !== null);
  expect(first.watch.stopped()).toEqual({ outcome: "cancelled", reason: "the issue was closed" });
  expect(first.watch.signal.aborted).toBe(true);

  const late = Promise.withResolvers<typeof closed>();
  const second = start(() => late.promise);
  await until(() => second.seen.beats >= 1);
  await second.watch.end();
  late.resolve(closed);
  await late.promise;
  await Bun.sleep(0);
  expect(second.watch.stopped()).toBeNull();
});

test("that the forge does not say who has write access ends no living run", async () => {
  let asked = 0;
  const { seen, watch: run } = start(async () => {
    asked += 1;
    throw new ForgeFailure("unavailable", "GET /repos/acme/widgets/assignees: 500");
  });
  await until(() => asked >= 1 && seen.beats >= 2);
  expect(run.stopped()).toBeNull();
  expect(run.signal.aborted).toBe(false);
});

test("silence counts as a stall only from the first sign of life on", async () => {
  const { seen, watch: run } = start(async () => snapshotWith(), 10);
  await until(() => seen.beats >= 1);
  seen.now += 11 * 60_000;
  const before = seen.beats;
  await until(() => seen.beats > before + 1);
  expect(run.stopped()).toBeNull();
  run.alive();
  seen.now += 11 * 60_000;
  await until(() => run.stopped() !== null);
  expect(run.stopped()).toEqual({ outcome: "stalled", reason: "stall_minutes" });
});
