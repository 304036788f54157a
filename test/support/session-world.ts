import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Log, LogFields } from "../../src/ports/observe.ts";
import { openSessionStore, type SessionStore } from "../../src/sessions/store.ts";
import { openStoreWorld, type StoreWorld } from "./store-world.ts";

/** A database, a state directory beside it, and what the session store logged. */
export interface SessionWorld extends AsyncDisposable {
  readonly database: StoreWorld;
  readonly stateDir: string;
  readonly file: string;
  readonly logged: {
    readonly level: string;
    readonly message: string;
    readonly fields: LogFields;
  }[];
  /** Opens the session store as at a start; the one opened before is closed first. */
  open(): Promise<SessionStore>;
  /** Opens it as after kill -9: the one opened before is left as it is, and loses the file. */
  openBeside(): Promise<SessionStore>;
  /** The parsed content of sessions.json. */
  content(): Promise<unknown>;
  warnings(): readonly string[];
}

export async function openSessionWorld(): Promise<SessionWorld> {
  const database = await openStoreWorld();
  const stateDir = join(database.directory, "state");
  await mkdir(stateDir, { mode: 0o700 });
  const file = join(stateDir, "sessions.json");
  const logged: { level: string; message: string; fields: LogFields }[] = [];
  let opened: SessionStore | null = null;
  const log =
    (level: string) =>
    (message: string, fields: LogFields = {}) => {
      logged.push({ level, message, fields });
    };
  const openBeside = async (): Promise<SessionStore> => {
    opened = await openSessionStore({
      table: database.store.sessions,
      stateDir,
      now: () => database.clock.now,
      log: {
        debug: log("debug"),
        info: log("info"),
        warn: log("warn"),
        error: log("error"),
      } satisfies Log,
    });
    return opened;
  };
  return {
    database,
    stateDir,
    file,
    logged,
    async open() {
      await opened?.mirror.close();
      return openBeside();
    },
    openBeside,
    async content() {
      return Bun.file(file).json();
    },
    warnings() {
      return logged.filter((line) => line.level === "warn").map((line) => line.message);
    },
    async [Symbol.asyncDispose]() {
      await opened?.mirror.close();
      await database[Symbol.asyncDispose]();
    },
  };
}

/** Waits until `holds` says true; fails after five seconds. */
export async function until(holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 5000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error("it did not happen within five seconds");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** The text of a file, or null when there is none. */
export async function textOf(path: string): Promise<string | null> {
  return readFile(path, "utf8").catch(() => null);
}
