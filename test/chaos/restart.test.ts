import { expect, test } from "bun:test";
import { timeRestarts } from "../support/restart.ts";

test("10,000 waiting items do not keep the service from taking in deliveries", async () => {
  const { floor, empty, waiting } = await timeRestarts(3, 10_000);

  // Ratios, and wide ones: `bench/restart.ts` tells the times.
  expect(waiting / empty).toBeLessThan(2);
  expect(waiting / floor).toBeLessThan(4);
}, 120_000);
