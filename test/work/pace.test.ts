import { expect, test } from "bun:test";
import { createPace } from "../../src/work/pace.ts";

/** A clock that a test moves, and what is done by it. */
function paced() {
  let now = 1000;
  const pace = createPace({ atOnceMs: 50, restMsMax: 25, clock: () => now });
  return (idleMs: number, workMs: number): number => {
    now += idleMs;
    pace.began();
    now += workMs;
    return pace.rest();
  };
}

test("a few pieces of work after a quiet time need no rest", () => {
  const work = paced();
  expect([work(5000, 12), work(0, 12), work(0, 12), work(1, 12)]).toEqual([0, 0, 0, 0]);
});

test("work that never stops gets half of the time", () => {
  const work = paced();
  let rest = 0;
  let resting = 0;
  let working = 0;
  for (let piece = 0; piece < 1000; piece += 1) {
    rest = work(rest, 10);
    resting += rest;
    working += 10;
  }
  expect(working / (working + resting)).toBeCloseTo(0.5, 1);
});

test("no rest is longer than it may be, however long the work was", () => {
  const work = paced();
  expect(work(0, 10_000)).toBe(25);
});

test("what rested long enough begins with nothing on its account", () => {
  const work = paced();
  for (let piece = 0; piece < 20; piece += 1) work(0, 10);
  expect(work(10_000, 40)).toBe(0);
});

test("long work leaves no debt that a short quiet time does not pay", () => {
  const work = paced();
  for (let piece = 0; piece < 100; piece += 1) expect(work(25, 200)).toBe(25);
  expect(work(100, 5)).toBe(0);
});
