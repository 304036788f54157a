import { expect, test } from "bun:test";
import { createAlarm } from "../../src/time/alarm.ts";

const LONG_MS = 60_000;

test("nobody rings: the sleep lasts as long as it was asked for", async () => {
  const start = performance.now();
  expect(await createAlarm().sleep(20)).toBe(false);
  expect(performance.now() - start).toBeGreaterThan(15);
});

test("rung in the middle, the sleep ends at once", async () => {
  const alarm = createAlarm();
  const sleep = alarm.sleep(LONG_MS);
  alarm.ring();
  expect(await sleep).toBe(true);
});

test("rung before it, the next sleep is none and the one after it is one", async () => {
  const alarm = createAlarm();
  alarm.ring();
  alarm.ring();
  expect(alarm.hasRung()).toBe(true);
  expect(await alarm.sleep(LONG_MS)).toBe(true);
  expect(alarm.hasRung()).toBe(false);
  expect(await alarm.sleep(1)).toBe(false);
});
