import { writeSync } from "node:fs";
import { openStore } from "../../src/store/open-store.ts";
import { aDelivery, issueMark } from "../support/store-world.ts";

// Records deliveries until it is killed, or COUNT of them one after another, and prints the id of
// each as soon as it is acknowledged.
const [, , path, count] = process.argv;
if (path === undefined) throw new Error("usage: record-child.ts DATABASE [COUNT]");
const store = await openStore({ path, now: () => Date.now() });

async function record(worker: number, end: number): Promise<void> {
  for (let index = 0; index < end; index += 1) {
    const id = `${worker}-${index}`;
    await store.deliveries.record(aDelivery(id), [issueMark(index + 1)]);
    writeSync(1, `${id}\n`);
  }
}

if (count !== undefined) await record(1, Number(count));
else await Promise.all([1, 2, 3, 4].map(async (worker) => await record(worker, Infinity)));
