import { writeSync } from "node:fs";
import { openStore } from "../../src/store/open-store.ts";
import { aDelivery, issueMark } from "../support/store-world.ts";

// Records deliveries until it is killed and prints the id of each as soon as it is acknowledged.
const path = process.argv[2];
if (path === undefined) throw new Error("usage: record-child.ts DATABASE");
const store = await openStore({ path, now: () => Date.now() });

async function recordForever(worker: number): Promise<never> {
  for (let index = 0; ; index += 1) {
    const id = `${worker}-${index}`;
    await store.deliveries.record(aDelivery(id), [issueMark(index + 1)]);
    writeSync(1, `${id}\n`);
  }
}

await Promise.all([1, 2, 3, 4].map(recordForever));
