/** `waiting`: it has an order that waits for a slot. */
export type ItemState = "idle" | "waiting" | "running" | "parked";

/** What is known of an item without asking the forge: the operator's line. */
export interface ItemRow {
  readonly repo: string;
  readonly number: number;
  readonly pull: number | null;
  readonly state: ItemState;
  readonly decision: string;
  readonly reason: string;
  /** When it is looked at or tried again, epoch ms; null: on the next mark. */
  readonly retryAt: number | null;
  readonly usd: number;
  /** The agent whose order waits for its turn, or null. */
  readonly waitsFor: string | null;
}
