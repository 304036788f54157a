import { expect, test } from "bun:test";
import { createCommitDelay } from "../../src/store/commit-delay.ts";
import { aDelivery, openStoreWorld, type StoreWorld } from "../support/store-world.ts";

/** So many unanswered writes are enough to hold a commit back. */
const ENOUGH = 16;
/** A commit takes so many of these tests' writes. */
const WRITES_MAX = 20;
/** A delay that never ends by itself within a test. */
const ENDLESS_MS = 3_600_000;

// A delay that should not be would make these wait for the end of their time.
test.each([
  ["few are unanswered", { unanswered: ENOUGH - 1, waiting: 1 }],
  ["all unanswered writes wait already", { unanswered: ENOUGH, waiting: ENOUGH }],
  ["a commit takes no more than wait already", { unanswered: 1000, waiting: WRITES_MAX }],
])("a commit is not held back when %s", async (_, writes) => {
  const delay = createCommitDelay({ writesMax: WRITES_MAX, delayMsMax: ENDLESS_MS });
  delay.noteWrite(writes);
  await delay.waitForMore(writes.waiting);
});

test.each([
  ["as many writes wait as were unanswered at the same time", ENOUGH, ENOUGH],
  ["it takes no more", 1000, WRITES_MAX],
])("a commit is held back until %s", async (_, unanswered, wanted) => {
  const delay = createCommitDelay({ writesMax: WRITES_MAX, delayMsMax: ENDLESS_MS });
  delay.noteWrite({ unanswered, waiting: 1 });
  let isOver = false;
  const waited = delay.waitForMore(1).then(() => {
    isOver = true;
  });
  for (let waiting = 2; waiting <= wanted; waiting += 1) {
    expect(isOver).toBe(false);
    delay.noteWrite({ unanswered, waiting });
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(isOver).toBe(true);
  await waited;
});

test("a commit goes on after the delay when the others do not come", async () => {
  const delay = createCommitDelay({ writesMax: WRITES_MAX, delayMsMax: 1 });
  delay.noteWrite({ unanswered: ENOUGH, waiting: 1 });
  await delay.waitForMore(1);
});

test("only those count that were unanswered since the last commit", async () => {
  const delay = createCommitDelay({ writesMax: WRITES_MAX, delayMsMax: ENDLESS_MS });
  delay.noteWrite({ unanswered: ENOUGH, waiting: ENOUGH });
  await delay.waitForMore(ENOUGH);
  delay.noteWrite({ unanswered: 1, waiting: 1 });
  await delay.waitForMore(1);
});

/** Records ENOUGH deliveries, and as many again while the first are on their way to the disk; the answers of both. */
function recordTwoHalves({ deliveries, onWake }: StoreWorld["store"], name: string) {
  const record = (part: string) =>
    Promise.all(
      Array.from({ length: ENOUGH }, (_, index) =>
        deliveries.record(aDelivery(`${name}-${part}-${index}`), []),
      ),
    );
  const { promise: second, resolve } = Promise.withResolvers<readonly string[]>();
  let isCommitted = false;
  onWake(() => {
    if (!isCommitted) resolve(record("second"));
    isCommitted = true;
  });
  return { first: record("first"), second, record };
}

test("deliveries whose senders do not come again are recorded all the same", async () => {
  await using world = await openStoreWorld();
  const { first, second } = recordTwoHalves(world.store, "storm");
  const answers = [...(await first), ...(await second)];
  expect(answers).toEqual(Array.from({ length: 2 * ENOUGH }, () => "accepted"));
});

test("who sends again after an answer shares the commit of those who wait", async () => {
  await using world = await openStoreWorld();
  let commits = 0;
  world.store.onWake(() => {
    commits += 1;
  });
  const commitsOf = async (name: string): Promise<number> => {
    const before = commits;
    const { first, second, record } = recordTwoHalves(world.store, name);
    await first;
    // In a later turn, as an answer has to reach its sender first.
    await new Promise((resolve) => setImmediate(resolve));
    await Promise.all([second, record("again")]);
    return commits - before;
  };
  // Three without a delay. On a busy machine a storm may miss the short one, but not each of a hundred.
  const seen: number[] = [];
  while (!seen.includes(2) && seen.length < 100) seen.push(await commitsOf(`storm${seen.length}`));
  expect(seen.at(-1)).toBe(2);
});
