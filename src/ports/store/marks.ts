import type { ItemRef } from "../../domain/snapshot.ts";

/** "Look at this again", as it came: reconcile resolves branches and shas to work items. */
export type MarkTarget =
  | { readonly kind: "number"; readonly number: number }
  | { readonly kind: "branch"; readonly branch: string }
  | { readonly kind: "sha"; readonly sha: string };

/** A place that is to be looked at again; `repo` is `owner/name` in lower case. */
export interface Mark {
  readonly repo: string;
  readonly target: MarkTarget;
}

/** An unresolved mark with the counter value that was read. */
export interface MarkRow {
  readonly mark: Mark;
  readonly count: number;
  /** How often it could not be resolved. */
  readonly tries: number;
}

/** A mark, and the items it turned out to be. */
export interface MarkMove {
  readonly row: MarkRow;
  readonly items: readonly ItemRef[];
}
