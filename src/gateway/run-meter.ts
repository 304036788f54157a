import type { RunMeter, TokenUsage } from "../ports/gateway.ts";
import { type PriceTable, priceOf } from "./prices.ts";
import type { AnswerUsage } from "./read-usage.ts";

/** Adds up what one run has used, answer by answer, also while answers are still streaming. */
export interface Meter {
  read(): RunMeter;
  /** US dollars used, and what the open requests may still cost. */
  committed(): number;
  /** Counts one request that is about to be passed on, with the most it may cost. */
  request(most: MostExpected): MeteredRequest;
  /** Remembers when the model's server may be asked again, as epoch milliseconds. */
  retryAt(at: number): void;
  /** Remembers how the newest request failed; null: it was answered. */
  refusal(how: { readonly status: number | null } | null): void;
  /** Remembers which budget of several runs has nothing left. */
  outOf(budget: string): void;
  /** Remembers when the subscription's limit is reset, as epoch milliseconds. */
  limitResetsAt(at: number): void;
}

/** The upper bound of a request, known before its answer. */
export interface MostExpected {
  readonly model: string;
  readonly input: number;
  readonly output: number;
}

/** One request under way. */
export interface MeteredRequest {
  /** Takes its usage so far; the newest figure holds. */
  report(usage: AnswerUsage): void;
  /**
   * The request is over; only the first call counts. `answered`: its usage holds, and without any it
   * stays charged with the most. `failed`: the other side did not do it, or not to the end; what was
   * reported holds. A number: the agent left when so many tokens may have been written.
   */
  end(how: "answered" | "failed" | { readonly leftAfterTokens: number }): void;
}

const ZERO: TokenUsage = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 };

/** An empty meter that prices by `prices`. */
export function createMeter(prices: PriceTable): Meter {
  let tokens = ZERO;
  let usd = 0;
  let reserved = 0;
  let requests = 0;
  let contextTokens = 0;
  let retryAt: number | null = null;
  let limitResetsAt: number | null = null;
  let outOf: string | null = null;
  let refusal: { readonly status: number | null } | null = null;
  return {
    read: () => ({ tokens, usd, requests, contextTokens, retryAt, limitResetsAt, outOf, refusal }),
    committed: () => usd + reserved,
    request({ model, input, output }) {
      requests += 1;
      const priced = (used: TokenUsage): number => priceOf(prices, model, used);
      const most = priced({ ...ZERO, input, output });
      let reported: TokenUsage | null = null;
      let charged = 0;
      let kept = most;
      let isOpen = true;
      reserved += kept;
      const charge = (price: number): void => {
        usd += price - charged;
        charged = price;
        const rest = isOpen ? Math.max(0, most - charged) : 0;
        reserved += rest - kept;
        kept = rest;
      };
      return {
        report(usage) {
          tokens = plus(tokens, usage.tokens, reported ?? ZERO);
          reported = usage.tokens;
          contextTokens = inputOf(usage.tokens);
          charge(priceOf(prices, usage.model ?? model, usage.tokens));
        },
        end(how) {
          if (!isOpen) return;
          isOpen = false;
          if (how === "failed") charge(charged);
          else if (how === "answered") charge(reported === null ? most : charged);
          else {
            const known = reported ?? { ...ZERO, input };
            const written = Math.max(known.output, Math.min(output, how.leftAfterTokens));
            charge(Math.max(charged, priced({ ...known, output: written })));
          }
        },
      };
    },
    refusal(how) {
      refusal = how;
    },
    retryAt(at) {
      retryAt = at;
    },
    outOf(budget) {
      outOf = budget;
    },
    limitResetsAt(at) {
      limitResetsAt = at;
    },
  };
}

/** The whole input: what came from the cache is as much a part of the context as what did not. */
const inputOf = ({ input, cacheRead, cacheWrite }: TokenUsage): number =>
  input + cacheRead + cacheWrite;

const plus = (sum: TokenUsage, now: TokenUsage, before: TokenUsage): TokenUsage => ({
  input: sum.input + now.input - before.input,
  output: sum.output + now.output - before.output,
  cacheRead: sum.cacheRead + now.cacheRead - before.cacheRead,
  cacheWrite: sum.cacheWrite + now.cacheWrite - before.cacheWrite,
});
