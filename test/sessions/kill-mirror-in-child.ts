import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { Log } from "../../src/ports/observe.ts";
import type { SessionLines, SessionTable } from "../../src/ports/store.ts";
import { openSessionStore, setSession } from "../../src/sessions/store.ts";
import { openStore } from "../../src/store/open-store.ts";
import { aSession, NOON } from "../support/store-world.ts";

// Changes, adds and drops sessions, begins to write the mirror and is killed at the step it is told.
const [, , directory, step] = process.argv;
if (directory === undefined || step === undefined) {
  throw new Error("usage: kill-mirror-in-child.ts DIRECTORY STEP");
}
const stateDir = join(directory, "state");
const ignore = (): void => undefined;
const log: Log = { debug: ignore, info: ignore, warn: ignore, error: ignore };

const die = (now: string): void => {
  if (now === step) process.kill(process.pid, "SIGKILL");
};
const draftLies = (): boolean => readdirSync(stateDir).some((name) => name.endsWith(".tmp"));

/** The table, with a death before and after each step of a write. */
function dying(table: SessionTable): SessionTable {
  const { lines } = table;
  const mortal: SessionLines = {
    ...lines,
    async takeStale(owner, limit) {
      die("before the changes are taken");
      const keys = await lines.takeStale(owner, limit);
      die("after the changes are taken");
      return keys;
    },
    async of(keys) {
      const found = await lines.of(keys);
      // Between this and the next step the draft is made: an interval catches it half written.
      if (step === "while the draft is written") {
        setInterval(() => {
          if (draftLies()) process.kill(process.pid, "SIGKILL");
        }, 0);
      }
      return found;
    },
    async withdraw(owner) {
      die("before an announcement is withdrawn");
      return lines.withdraw(owner);
    },
    async announce(owner, changes) {
      die("after the draft is synced");
      const held = await lines.announce(owner, changes);
      die("after the digests are announced");
      return held;
    },
    async rename(owner, rename) {
      const held = await lines.rename(owner, () => {
        die("before the rename");
        rename();
        die("after the rename, its transaction open");
      });
      die("after the rename");
      return held;
    },
    async confirm(owner) {
      die("after the directory is synced");
      const held = await lines.confirm(owner);
      die("after the digests are confirmed");
      return held;
    },
  };
  return { ...table, lines: mortal };
}

const store = await openStore({ path: join(directory, "claude-hooks.db"), now: () => NOON });
const first = await openSessionStore({ table: store.sessions, stateDir, now: () => NOON, log });
for (const number of [1, 2, 3, 4]) await setSession(first, aSession("boss", number));
await first.mirror.close();
// What stands in the file now is one write old when the deadly one begins.
const second = await openSessionStore({ table: store.sessions, stateDir, now: () => NOON, log });
await setSession(second, aSession("boss", 1, { resumes: 1 }));
await second.mirror.close();

const table = dying(store.sessions);
if (step.startsWith("at the start: ")) await store.sessions.put(aSession("boss", 9));
const deadly = await openSessionStore({ table: store.sessions, stateDir, now: () => NOON, log });
await setSession(deadly, aSession("boss", 5));
await deadly.mirror.close();
const mirror = await openSessionStore({ table, stateDir, now: () => NOON, log });
await setSession(mirror, aSession("boss", 1, { resumes: 2, sessionId: "another" }));
await setSession(mirror, aSession("boss", 2, { tainted: true }));
await setSession(mirror, aSession("boss", 6));
await store.sessions.drop(aSession("boss", 3).key);
await mirror.mirror.flush();
throw new Error(`there is no step ${step}`);
