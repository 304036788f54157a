import { join } from "node:path";
import { createPublicListener } from "../../src/http/public-listener.ts";
import { createIntake } from "../../src/intake/create-intake.ts";
import { openStore } from "../../src/store/open-store.ts";
import { SECRET } from "./payload.ts";

/** The intake with its listener and its database on disk, as the service puts them together; nothing works the marks off. */
const [dir = ""] = process.argv.slice(2);
const ignore = (): void => undefined;
const log = { debug: ignore, info: ignore, warn: console.error, error: console.error };
const store = await openStore({ path: join(dir, "claude-hooks.db"), now: Date.now });
const listener = createPublicListener({
  listen: { host: "127.0.0.1", port: 0 },
  intake: createIntake({
    kind: "forgejo",
    path: "/webhook",
    secrets: () => [Buffer.from(SECRET)],
    bodyBytes: 2_097_152,
    queueLimit: Number.MAX_SAFE_INTEGER,
    waiting: () => 0,
    agents: () => [],
    concerns: () => true,
    deliveries: store.deliveries,
    now: Date.now,
    metrics: { delivery: ignore },
    audit: { append: ignore },
    log,
  }),
  log,
});
console.log(`${listener.url}/webhook`);
