import type { TokenUsage } from "../ports/gateway.ts";

/** US dollars per million tokens. */
interface Price {
  readonly input: number;
  readonly output: number;
  readonly cacheRead: number;
  /** Of a five-minute cache entry. */
  readonly cacheWrite: number;
}

/** Prices by the beginning of the model's name; the longest beginning that fits counts. */
export type PriceTable = Readonly<Record<string, Price>>;

/**
 * Approximate list prices. Source: what the CLI 2.1.330 (October 2026) charges for 100,000 tokens of
 * each kind, measured model by model against a scripted endpoint. An operator with other prices
 * passes another table to the gateway.
 */
export const PRICES: PriceTable = {
  "claude-opus-5": { input: 4, output: 20, cacheRead: 0.2, cacheWrite: 5 },
  "claude-opus-4": { input: 5, output: 25, cacheRead: 0.5, cacheWrite: 6.25 },
  "claude-sonnet-5-5": { input: 2, output: 10, cacheRead: 0.1, cacheWrite: 2.5 },
  "claude-sonnet-5": { input: 2, output: 10, cacheRead: 0.2, cacheWrite: 2.5 },
  "claude-sonnet-4": { input: 3, output: 15, cacheRead: 0.3, cacheWrite: 3.75 },
  "claude-haiku-5": { input: 0.1, output: 0.5, cacheRead: 0.01, cacheWrite: 0.125 },
  "claude-haiku-4": { input: 1, output: 5, cacheRead: 0.1, cacheWrite: 1.25 },
  "claude-fable-5": { input: 8, output: 40, cacheRead: 0.2, cacheWrite: 10 },
};

/** What `tokens` of `model` cost in US dollars; a model that the table does not know costs what the dearest does. */
export function priceOf(table: PriceTable, model: string, tokens: TokenUsage): number {
  const price = rowOf(table, model) ?? dearest(table);
  return (
    (tokens.input * price.input +
      tokens.output * price.output +
      tokens.cacheRead * price.cacheRead +
      tokens.cacheWrite * price.cacheWrite) /
    1_000_000
  );
}

/** Whether the table has a price for the model. */
export function isPriced(table: PriceTable, model: string): boolean {
  return rowOf(table, model) !== null;
}

function rowOf(table: PriceTable, model: string): Price | null {
  const row = Object.entries(table)
    .filter(([beginning]) => model.startsWith(beginning))
    .sort(([one], [other]) => other.length - one.length)[0];
  return row?.[1] ?? null;
}

/** The dearest of each kind; an empty table prices nothing. */
function dearest(table: PriceTable): Price {
  const highest = (kind: keyof Price): number =>
    Math.max(0, ...Object.values(table).map((price) => price[kind]));
  return {
    input: highest("input"),
    output: highest("output"),
    cacheRead: highest("cacheRead"),
    cacheWrite: highest("cacheWrite"),
  };
}
