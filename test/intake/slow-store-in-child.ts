import { writeSync } from "node:fs";
import { createPublicListener } from "../../src/http/public-listener.ts";
import { createIntake } from "../../src/intake/create-intake.ts";
import { openStore } from "../../src/store/open-store.ts";
import { SECRET } from "../support/intake-world.ts";

// Serves the intake on a free port with a store that takes DELAY ms for each record; prints its URL.
const [, , path, delay, queue] = process.argv;
if (path === undefined) throw new Error("usage: slow-store-in-child.ts DATABASE DELAY QUEUE");
const store = await openStore({ path, now: Date.now });
const ignore = () => undefined;
const log = { debug: ignore, info: ignore, warn: ignore, error: ignore };
const intake = createIntake({
  kind: "forgejo",
  path: "/webhook",
  secrets: () => [Buffer.from(SECRET)],
  bodyBytes: 2_097_152,
  queueLimit: Number(queue),
  waiting: () => 0,
  agents: () => [],
  concerns: () => true,
  deliveries: {
    record: async (delivery, marks) => {
      await Bun.sleep(Number(delay));
      return await store.deliveries.record(delivery, marks);
    },
  },
  now: Date.now,
  metrics: { delivery: ignore },
  audit: { append: ignore },
  log,
});
const listener = createPublicListener({ listen: { host: "127.0.0.1", port: 0 }, intake, log });
writeSync(1, `${listener.url}\n`);
