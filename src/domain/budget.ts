import type { Ledger } from "./ledger.ts";
import type { Limits } from "./policy.ts";

const DAY_MS = 86_400_000;

/** A budget with nothing left in it. */
export interface SpentBudget {
  readonly name: "usd_per_item" | "usd_per_day" | "tokens_per_day";
  /** What is used up and how to go on, for people. */
  readonly reason: string;
  /** When there is a new budget, epoch ms; null: when somebody raises the limit. */
  readonly until: number | null;
}

/** What has been spent, living runs included. */
export type Spending = Pick<Ledger, "usdItem" | "usdToday" | "tokensToday">;

/**
 * The budget of the item or of the day (UTC) that is used up, or null while there is something left.
 * It is asked before a run is decided, before it starts, and between its requests to the model.
 */
export function spentBudget(
  { usdItem, usdToday, tokensToday }: Spending,
  limits: Pick<Limits, "usdPerItem" | "usdPerDay" | "tokensPerDay">,
  now: number,
): SpentBudget | null {
  if (usdItem >= limits.usdPerItem) {
    const reason = "the money for this item is used up; raise limits.usd_per_item to go on";
    return { name: "usd_per_item", reason, until: null };
  }
  const midnight = Math.floor(now / DAY_MS) * DAY_MS + DAY_MS;
  if (usdToday >= limits.usdPerDay) {
    return { name: "usd_per_day", reason: "the money for today is used up", until: midnight };
  }
  if (limits.tokensPerDay !== null && tokensToday >= limits.tokensPerDay) {
    return { name: "tokens_per_day", reason: "the tokens for today are used up", until: midnight };
  }
  return null;
}
