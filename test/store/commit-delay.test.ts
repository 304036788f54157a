import { expect, test } from "bun:test";
import { createCommitDelay } from "../../src/store/commit-delay.ts";
import { aDelivery, openStoreWorld } from "../support/store-world.ts";

/** A delay that never ends by itself within a test. */
const ENDLESS_MS = 3_600_000;
const STORM = 16;

test.each([
  ["few had no answer at once", { unanswered: STORM - 1, waiting: 1 }],
  ["all who had no answer wait already", { unanswered: STORM, waiting: STORM }],
])("a commit is not delayed when %s", async (_, { unanswered, waiting }) => {
  const delay = createCommitDelay(ENDLESS_MS);
  delay.came({ unanswered, waiting });
  await delay.gather(waiting);
});

test("in a storm a commit waits until as many are there as had no answer at once", async () => {
  const delay = createCommitDelay(ENDLESS_MS);
  delay.came({ unanswered: STORM, waiting: 1 });
  let hasGathered = false;
  const gathered = delay.gather(1).then(() => {
    hasGathered = true;
  });
  for (let waiting = 2; waiting <= STORM; waiting += 1) {
    expect(hasGathered).toBe(false);
    delay.came({ unanswered: STORM, waiting });
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(hasGathered).toBe(true);
  await gathered;
});

test("who does not come again is waited for a moment, and not the next time", async () => {
  const impatient = createCommitDelay(1);
  impatient.came({ unanswered: 1000, waiting: 1 });
  await impatient.gather(1);

  const forgetful = createCommitDelay(ENDLESS_MS);
  forgetful.came({ unanswered: STORM, waiting: STORM });
  await forgetful.gather(STORM);
  forgetful.came({ unanswered: 1, waiting: 1 });
  await forgetful.gather(1);
});

test("after a storm a lone delivery is recorded all the same", async () => {
  await using world = await openStoreWorld();
  const { deliveries } = world.store;
  const storm = Array.from({ length: 4 * STORM }, (_, index) => aDelivery(`storm${index}`));

  const answers = await Promise.all(storm.map((delivery) => deliveries.record(delivery, [])));
  const alone = await deliveries.record(aDelivery("alone"), []);

  expect(new Set([...answers, alone])).toEqual(new Set(["accepted"]));
});
