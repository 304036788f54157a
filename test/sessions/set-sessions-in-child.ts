import { join } from "node:path";
import type { Log } from "../../src/ports/observe.ts";
import { openSessionStore, setSession } from "../../src/sessions/store.ts";
import { openStore } from "../../src/store/open-store.ts";
import { aSession, NOON } from "../support/store-world.ts";

// Sets a hundred sessions of its own and a hundred times the same one, as one of several processes.
const [, , directory, agent] = process.argv;
if (directory === undefined || agent === undefined) {
  throw new Error("usage: set-sessions-in-child.ts DIRECTORY AGENT");
}
const ignore = (): void => undefined;
const log: Log = { debug: ignore, info: ignore, warn: ignore, error: ignore };
const store = await openStore({ path: join(directory, "claude-hooks.db"), now: () => NOON });
const sessions = await openSessionStore({
  table: store.sessions,
  stateDir: join(directory, "state"),
  now: () => NOON,
  log,
});
for (let number = 1; number <= 100; number += 1) {
  await setSession(sessions, aSession(agent, number));
  await setSession(sessions, aSession("shared", 1, { resumes: number, sessionId: agent }));
}
await sessions.mirror.close();
await store.close();
