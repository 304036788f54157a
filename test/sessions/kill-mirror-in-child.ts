import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Log } from "../../src/ports/observe.ts";
import type { SessionLines, SessionTable } from "../../src/ports/store/sessions.ts";
import { dropSession, openSessionStore, setSession } from "../../src/sessions/store.ts";
import { openStore } from "../../src/store/open-store.ts";
import { aSession, NOON } from "../support/store-world.ts";

// `first`: mirrors some sessions, changes them, and is killed at one step of the next write.
// `again`: is a restart after that, killed at the same step if it comes to it.
const [, , directory, step, life] = process.argv;
if (directory === undefined || step === undefined || life === undefined) {
  throw new Error("usage: kill-mirror-in-child.ts DIRECTORY STEP first|again");
}
const stateDir = join(directory, "state");
const ignore = (): void => undefined;
const log: Log = { debug: ignore, info: ignore, warn: ignore, error: ignore };
let isArmed = life === "again";

function die(now: string): void {
  if (isArmed && now === step) process.kill(process.pid, "SIGKILL");
}

/** What a kill in the middle of the draft leaves behind. */
function leaveHalfADraft(): void {
  if (!isArmed || step !== "while the draft is written") return;
  const path = join(stateDir, "sessions.json.0123456789abcdef.tmp");
  writeFileSync(path, '{"version":1,"sessions":[\n{"key":"boss:acme/wid');
  die(step);
}

/** What changes once the lines of a write have been read: its file is already old when it is renamed. */
async function changeMore(): Promise<void> {
  await store.sessions.put(aSession("boss", 4, { resumes: 7 }));
  await store.sessions.drop(aSession("boss", 6).key);
  await store.sessions.put(aSession("boss", 3, { resumes: 1 }));
}

/** The table with a death between all steps of a write. */
function mortal(table: SessionTable): SessionTable {
  const { lines } = table;
  const dying: SessionLines = {
    ...lines,
    async settle(owner, seen) {
      die("before a start settles what it has found");
      const held = await lines.settle(owner, seen);
      die("after a start has settled what it has found");
      return held;
    },
    async takeStale(owner, limit) {
      die("before the changes are taken");
      const keys = await lines.takeStale(owner, limit);
      die("after the changes are taken");
      return keys;
    },
    async of(keys) {
      const found = await lines.of(keys);
      if (isArmed) await changeMore();
      leaveHalfADraft();
      die("before the draft is made");
      return found;
    },
    async page(after, limit) {
      const found = await lines.page(after, limit);
      leaveHalfADraft();
      return found;
    },
    async withdraw(owner) {
      die("before an announcement is withdrawn");
      const held = await lines.withdraw(owner);
      die("after an announcement is withdrawn");
      return held;
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
        die("after the rename, in its transaction");
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
  return { ...table, lines: dying };
}

const store = await openStore({ path: join(directory, "claude-hooks.db"), now: () => NOON });
const sessions = await openSessionStore({
  table: mortal(store.sessions),
  stateDir,
  now: () => NOON,
  log,
});
if (life === "first") {
  for (const number of [1, 2, 3, 4, 7]) await setSession(sessions, aSession("boss", number));
  await sessions.mirror.flush();
  await setSession(sessions, aSession("boss", 1, { resumes: 1 }));
  await sessions.mirror.flush();

  await setSession(sessions, aSession("boss", 1, { resumes: 2, sessionId: "another" }));
  await setSession(sessions, aSession("boss", 2, { tainted: true }));
  await setSession(sessions, aSession("boss", 4, { resumes: 6 }));
  await setSession(sessions, aSession("boss", 5));
  await setSession(sessions, aSession("boss", 6));
  await dropSession(sessions, aSession("boss", 3).key);
  isArmed = true;
  await sessions.mirror.flush();
}
