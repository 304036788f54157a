import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import type { ItemRef } from "../../src/domain/snapshot.ts";
import { createPublicListener } from "../../src/http/public-listener.ts";
import { createIntake } from "../../src/intake/create-intake.ts";
import { openStore } from "../../src/store/open-store.ts";
import type { WorkDependencies } from "../../src/work/dependencies.ts";
import { createWorkLoop } from "../../src/work/loop.ts";
import { openGates } from "../../test/support/gates.ts";
import { anEnd, aStart } from "../../test/support/store-world.ts";
import { policyWith, snapshotWith } from "../../test/support/world.ts";
import { SECRET } from "../intake/payload.ts";

/** More than ever run at once: 40 a second for 0.3 s are 12. */
const LIMITS = { runs: 64, runsPerAgent: 64 };

/**
 * `bun bench/dispatch/engine.ts <dir> <stub>`: what lies between a delivery and the start of a
 * command when neither forge nor workspace take any time: intake, database on disk, the queue, its
 * loop, the decision and the record of the run, all real. The forge answers from memory, and what a
 * run carries out is the stub, with the number as its argument.
 */
const [dir = "", stub = ""] = process.argv.slice(2);
/** A small one, as Claude gets; to copy that of the process would be measured, too. */
const ENVIRONMENT = { PATH: process.env["PATH"] ?? "" };
const ignore = (): void => undefined;
const log = { debug: ignore, info: ignore, warn: console.error, error: console.error };
const store = await openStore({ path: join(dir, "claude-hooks.db"), now: Date.now });
const parts: Partial<Record<keyof WorkDependencies, unknown>> = {
  store,
  policy: () => policyWith(),
  gates: await openGates(),
  chance: Math.random,
  pausedByFile: () => false,
  now: Date.now,
  log,
  metrics: { decision: ignore },
  audit: { append: ignore },
  forge: {
    reader: { lookUp: async () => ({ kind: "issue" }) },
    actor: () => ({ react: async () => undefined }),
  },
  readSnapshot: async (item: ItemRef) => snapshotWith({ item }),
};
const loop = createWorkLoop(parts as WorkDependencies, {
  owner: "bench",
  limits: () => LIMITS,
  run: async (claim) => {
    const id = randomUUID();
    await store.runs.start(claim, aStart(id, claim));
    const child = spawn(stub, [String(claim.item.number)], { stdio: "ignore", env: ENVIRONMENT });
    await once(child, "exit");
    await store.runs.end(anEnd(id));
    await store.work.settleRun(claim, { notBefore: null, park: null });
  },
});
store.onWake(loop.wake);
const listener = createPublicListener({
  listen: { host: "127.0.0.1", port: 0 },
  intake: createIntake({
    kind: "forgejo",
    path: "/webhook",
    secrets: () => [Buffer.from(SECRET)],
    bodyBytes: 2_097_152,
    queueLimit: 10_000,
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
loop.start();
console.log(`${listener.url}/webhook`);
