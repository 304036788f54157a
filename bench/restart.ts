import { timeRestarts } from "../test/support/restart.ts";

const ROUNDS = 7;
const ROWS = 10_000;

/** How long after kill -9 the service takes in deliveries again, beside what loading its modules takes. */
const { floor, empty, waiting } = await timeRestarts(ROUNDS, ROWS);
const over = (ms: number, than: number): string =>
  `${Math.round(ms)} ms, ${Math.round(ms - than)} over`;
console.log(`modules loaded            p50 ${Math.round(floor.median)} ms of ${ROUNDS}`);
console.log(`ready, nothing waits      p50 ${over(empty.median, floor.median)} that`);
console.log(`ready, ${ROWS} items wait  p50 ${over(waiting.median, empty.median)} that`);
