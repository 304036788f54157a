import { expect, test } from "bun:test";
import { timeRestarts } from "../support/restart.ts";

const READY_MS_MAX = 100;

test("10,000 waiting items cost the service less than 100 ms until it takes in deliveries", async () => {
  const { empty, waiting } = await timeRestarts(5, 10_000);

  // The floor is the same start with nothing waiting; the quickest of five says least about the machine.
  expect(waiting.least - empty.least).toBeLessThan(READY_MS_MAX);
}, 120_000);
