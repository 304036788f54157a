/** Why the store refuses. */
export type StoreFailureKind =
  /** The database cannot be opened or brought to this version's tables. */
  | "open"
  /** A newer version of this service has written the database. */
  | "newer"
  /** A page was asked for with a cursor that no answer has given. */
  | "cursor"
  /** Something was said of a run that was never started. */
  | "unknown_run"
  /** The claim under which something was to be written is somebody else's by now. */
  | "lost"
  /** The database ended the same write again and again in favour of somebody else's. */
  | "conflict"
  /** The disk did not confirm what was committed: nobody can tell any more what will survive. */
  | "unsynced";

/** What the store refuses; the message names the value and the remedy. */
export class StoreFailure extends Error {
  override readonly name = "StoreFailure";
  readonly kind: StoreFailureKind;

  constructor(kind: StoreFailureKind, message: string, options?: { readonly cause: unknown }) {
    super(message, options);
    this.kind = kind;
  }
}

/** What the engines say of a disk without room (sqlite.org/rescode.html; PostgreSQL, appendix A: disk_full). */
const NO_ROOM: readonly string[] = ["SQLITE_FULL", "53100"];

/** Whether a write failed because the disk of the database is full: nobody's fault, and it passes. */
export function isOfFullDisk(error: unknown): boolean {
  return error instanceof Error && "code" in error && NO_ROOM.includes(String(error.code));
}
