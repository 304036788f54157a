import { expect, test } from "bun:test";
import { type Spending, spentBudget } from "../../src/domain/budget.ts";

const NOON = Date.UTC(2026, 9, 1, 12);
const MIDNIGHT = Date.UTC(2026, 9, 2);
const LIMITS = { usdPerItem: 20, usdPerDay: 100, tokensPerDay: 1000 };

test.each<[string, Partial<Spending>, Partial<typeof LIMITS>, [string, number | null] | null]>([
  ["nothing was spent", {}, {}, null],
  ["a cent is left", { usdItem: 19.99, usdToday: 99.99, tokensToday: 999 }, {}, null],
  ["the item's money is spent", { usdItem: 20 }, {}, ["usd_per_item", null]],
  ["the day's money is spent", { usdToday: 100 }, {}, ["usd_per_day", MIDNIGHT]],
  ["the day's tokens are spent", { tokensToday: 1000 }, {}, ["tokens_per_day", MIDNIGHT]],
  ["tokens are not limited", { tokensToday: 1e12 }, { tokensPerDay: null as never }, null],
  ["item and day are spent", { usdItem: 20, usdToday: 100 }, {}, ["usd_per_item", null]],
])("%s", (_, spent, limits, expected) => {
  const spending = { usdItem: 0, usdToday: 0, tokensToday: 0, ...spent };
  const found = spentBudget(spending, { ...LIMITS, ...limits }, NOON);
  expect<unknown>(found === null ? null : [found.name, found.until]).toEqual(expected);
});
