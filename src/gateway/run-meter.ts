import type { RunMeter, TokenUsage } from "../ports/gateway.ts";
import { type PriceTable, priceOf } from "./prices.ts";
import type { AnswerUsage } from "./read-usage.ts";

/** Adds up what one run has used, answer by answer, also while answers are still streaming. */
export interface Meter {
  read(): RunMeter;
  /** Counts one request and returns the place where its usage is reported; the newest figure holds. */
  request(): (usage: AnswerUsage) => void;
  /** Remembers when the model's server may be asked again, as epoch milliseconds. */
  retryAt(at: number): void;
}

const ZERO: TokenUsage = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 };

/** An empty meter that prices by `prices`. */
export function createMeter(prices: PriceTable): Meter {
  let tokens = ZERO;
  let usd = 0;
  let requests = 0;
  let retryAt: number | null = null;
  return {
    read: () => ({ tokens, usd, requests, retryAt }),
    request() {
      requests += 1;
      let counted = ZERO;
      let charged = 0;
      return (usage) => {
        const price = priceOf(prices, usage.model ?? "", usage.tokens);
        tokens = plus(tokens, usage.tokens, counted);
        usd += price - charged;
        counted = usage.tokens;
        charged = price;
      };
    },
    retryAt(at) {
      retryAt = at;
    },
  };
}

const plus = (sum: TokenUsage, now: TokenUsage, before: TokenUsage): TokenUsage => ({
  input: sum.input + now.input - before.input,
  output: sum.output + now.output - before.output,
  cacheRead: sum.cacheRead + now.cacheRead - before.cacheRead,
  cacheWrite: sum.cacheWrite + now.cacheWrite - before.cacheWrite,
});
