import { closeSync, fdatasync, openSync } from "node:fs";
import { promisify } from "node:util";
import { StoreFailure } from "../ports/store/failure.ts";

/** Brings what was written to an open file to the disk: `fdatasync` on a thread beside the event loop. */
export type SyncFile = (fd: number) => Promise<void>;

/** The write-ahead log of one SQLite database, as far as its durability is ours. */
export interface WriteAheadLog {
  /**
   * Resolves when everything committed before is on the disk; calls that come during one sync share
   * the next. Throws StoreFailure `unsynced`, then and at every later call: a kernel that could not write
   * a page may say the next time that all is well.
   */
  flush(): Promise<void>;
  /** Waits for the last sync, then closes the descriptor: closed earlier, its number might by then be another file's. */
  close(): Promise<void>;
}

/**
 * Takes over the one thing that `synchronous = full` does and `normal` does not: a sync of the log
 * after each commit (sqlite.org/pragma.html#pragma_synchronous). SQLite does it on the thread that
 * commits, which is the event loop, and with `fsync` in Bun's build, which writes the file's times,
 * too; measured: it cost a third of the rate of deliveries. The log's header, checkpoints and the
 * order between log and database stay SQLite's own in `normal`.
 *
 * `path` is the database's; `onUnsynced` is called once, at the first failure. The descriptor is of
 * the log, on which SQLite keeps no locks: closing one of the database itself would drop them.
 */
export function openWriteAheadLog(
  path: string,
  options: { readonly onUnsynced?: () => void; readonly sync?: SyncFile } = {},
): WriteAheadLog {
  const sync: SyncFile = options.sync ?? promisify(fdatasync);
  const name = `${path}-wal`;
  let fd: number | null = null;
  let failure: StoreFailure | null = null;
  // The last sync that has begun; it never rejects.
  let current: Promise<void> = Promise.resolve();
  let next: Promise<void> | null = null;

  const syncOnce = async (): Promise<void> => {
    if (failure !== null) throw failure;
    try {
      fd ??= openSync(name, "r");
      await sync(fd);
    } catch (error) {
      failure = unsynced(name, error);
      options.onUnsynced?.();
      throw failure;
    }
  };
  const begin = (): Promise<void> => {
    next = null;
    const mine = syncOnce();
    current = mine.catch(() => undefined);
    return mine;
  };
  return {
    flush() {
      // One that has begun may have passed by what was committed since: only the next one is shared.
      next ??= current.then(begin);
      return next;
    },
    async close() {
      while (next !== null) await Promise.allSettled([next]);
      await current;
      if (fd !== null) closeSync(fd);
      fd = null;
    },
  };
}

function unsynced(name: string, error: unknown): StoreFailure {
  return new StoreFailure(
    "unsynced",
    `what was written to ${name} may not be on the disk: ${error instanceof Error ? error.message : String(error)}; look at the disk (dmesg) and start again, the forge is asked anew for what is missing`,
    { cause: error },
  );
}
