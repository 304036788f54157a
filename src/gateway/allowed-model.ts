import { isPriced, type PriceTable } from "./prices.ts";

/** The names that the CLI itself turns into a model's full name (CLI 2.1.330). */
const FAMILIES = new Set(["opus", "sonnet", "haiku", "fable"]);
const ALIASES: Readonly<Record<string, string>> = { opusplan: "sonnet", default: "" };

/**
 * Whether a request of a run may ask for this model. `own` is what the run was given: a full name
 * (also without its date, or with the CLI's mark for a long context, `[1m]`) or an alias; null: not
 * known, then every model with a price. The CLI's helper calls go to the small model, haiku, which is
 * always allowed; with our options it makes none (measured).
 */
export function isAllowedModel(prices: PriceTable, own: string | null, asked: string): boolean {
  if (own === null) return isPriced(prices, asked);
  if (isOfFamily("haiku", asked)) return true;
  const name = own.replace(/\[[^\]]*\]$/, "").toLowerCase();
  const family = ALIASES[name] ?? name;
  if (name in ALIASES || FAMILIES.has(family)) return isOfFamily(family, asked);
  return asked === name || asked === own || isDated(name, asked);
}

const isOfFamily = (family: string, asked: string): boolean =>
  asked.startsWith(`claude-${family === "" ? "" : `${family}-`}`);

const isDated = (name: string, asked: string): boolean =>
  asked.startsWith(`${name}-`) && /^\d{8}$/.test(asked.slice(name.length + 1));
