import { lstatSync } from "node:fs";
import { open, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import type { Log } from "../ports/observe.ts";
import type { PauseScope } from "../ports/store/work.ts";
import type { Store } from "../ports/store.ts";
import { waitAtMost } from "../time/wait-at-most.ts";

const LOOK_EVERY_MS = 500;
const RECORD_MS_MAX = 2000;

/** The stop that needs nothing but a file: `paused` in the state directory, present = everything is paused. */
export interface PauseFile {
  /** Asks the file system now, and nothing else: it works with a locked database. */
  isOn(): boolean;
  /** Whether anybody was told `true` by `isOn` since this was asked last. */
  wasSeen(): boolean;
  /** Creates the file, if it is not there. Throws what the file system says. */
  write(): Promise<void>;
  /** Removes it, whoever has made it. Throws what the file system says. */
  remove(): Promise<void>;
}

/** The pause file of a state directory. What cannot be looked at counts as present: a stop fails closed. */
export function createPauseFile(stateDir: string): PauseFile {
  const path = join(stateDir, "paused");
  let seen = false;
  const isThere = (): boolean => {
    try {
      // Not what it may link to: a link that leads nowhere is a file that is there.
      return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
    } catch {
      return true;
    }
  };
  return {
    isOn: () => {
      const isOn = isThere();
      seen ||= isOn;
      return isOn;
    },
    wasSeen: () => {
      const was = seen;
      seen = false;
      return was;
    },
    write: async () => {
      try {
        const file = await open(path, "wx", 0o600);
        await file.close();
      } catch (error) {
        if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
      }
    },
    remove: async () => await rm(path, { force: true, recursive: true }),
  };
}

/**
 * Pauses a scope. Everything is paused by the file at once, and by the database as soon as that can be
 * written, so that it holds for every service of that database; not waited for longer than 2 s.
 * Throws what the file system or, for other scopes, the store says.
 */
export async function pause(
  scope: PauseScope,
  parts: { readonly pauseFile: PauseFile; readonly store: Pick<Store, "work">; readonly log: Log },
): Promise<void> {
  const { pauseFile, store, log } = parts;
  if (scope.kind !== "all") return await store.work.pause(scope, true);
  await pauseFile.write();
  const recorded = store.work.pause(scope, true).catch((error: unknown) => {
    log.warn("the pause is only in its file", { reason: String(error) });
  });
  await Promise.race([recorded, wait(RECORD_MS_MAX)]);
}

/**
 * Looks twice a second whether the file came or went and tells it until the signal; `wasOn` is what
 * the service last acted upon. A file that came and went between two looks is told, too, if anybody
 * saw it: something was decided by it. A teller that fails is told again at the next look.
 */
export async function watchPauseFile(
  file: Pick<PauseFile, "isOn" | "wasSeen">,
  options: {
    readonly wasOn: boolean;
    readonly changed: (isOn: boolean) => Promise<void>;
    readonly failed: (error: unknown) => void;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const { changed, failed, signal } = options;
  let { wasOn } = options;
  while (!signal.aborted) {
    const isOn = file.isOn();
    const cameAndWent = file.wasSeen() && !isOn && !wasOn;
    if (isOn !== wasOn || cameAndWent) {
      try {
        if (cameAndWent) {
          await changed(true);
          wasOn = true;
        }
        await changed(isOn);
        wasOn = isOn;
      } catch (error) {
        failed(error);
      }
    }
    await waitAtMost(LOOK_EVERY_MS, signal);
  }
}
