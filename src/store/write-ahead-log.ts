import { closeSync, fdatasync, openSync } from "node:fs";
import { promisify } from "node:util";
import { StoreFailure } from "../ports/store/failure.ts";

/** Brings what was written to an open file to the disk: `fdatasync` on a thread beside the event loop. */
export type SyncFile = (fd: number) => Promise<void>;

/** The write-ahead log of one SQLite database, as far as its durability is ours. */
export interface WriteAheadLog {
  /**
   * Resolves when everything committed before is on the disk. Throws StoreFailure `unsynced`, and for
   * ever after: a kernel that could not write a page may say the next time that all is well.
   */
  flush(): Promise<void>;
  close(): void;
}

/**
 * Takes over the one thing that `synchronous = full` does and `normal` does not: a sync of the log
 * after each commit (sqlite.org/pragma.html#pragma_synchronous). SQLite does it on the thread that
 * commits, which is the event loop, and with `fsync` in Bun's build, which writes the file's times,
 * too; measured it cost a third of the rate of deliveries. The log's header, checkpoints and the
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
  return {
    async flush() {
      if (failure !== null) throw failure;
      try {
        fd ??= openSync(name, "r");
        await sync(fd);
      } catch (error) {
        failure ??= unsynced(name, error);
        options.onUnsynced?.();
        throw failure;
      }
    },
    close() {
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
