import { writeSync } from "node:fs";
import { lockStateDir } from "../../src/store/lock-state-dir.ts";

// Takes the lock of a state directory, says so, and holds it until it is killed; with a child of its own.
const stateDir = process.argv[2];
if (stateDir === undefined) throw new Error("usage: hold-lock-in-child.ts STATE_DIR");
const lock = lockStateDir({ stateDir, pid: process.pid, version: "1.2.3", startedAt: Date.now() });
const child = Bun.spawn(["sleep", "30"], { stdio: ["ignore", "ignore", "ignore"] });
writeSync(1, `${JSON.stringify({ ok: lock.ok, child: child.pid })}\n`);
await child.exited;
