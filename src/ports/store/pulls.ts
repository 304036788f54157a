import type { ItemRef } from "../../domain/snapshot.ts";

/** Which work item a pull request belongs to; a row never changes once written. */
export interface PullTable {
  itemOf(repo: string, pull: number): Promise<number | null>;
  /**
   * The number of the work item that an issue's or pull request's number belongs to: the pull request's item
   * where that is known, else its own where it is an item; null when it is neither.
   */
  itemOfNumber(repo: string, number: number): Promise<number | null>;
  pullsOf(item: ItemRef): Promise<readonly number[]>;
  /** Resolves with the number that holds: the given one, or the one written before. */
  write(repo: string, pull: number, number: number): Promise<number>;
}
