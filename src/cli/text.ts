const CELL_CHARACTERS_MAX = 300;

/**
 * Any value of an answer as one line for a terminal: `-` for nothing, control characters and those
 * that turn the direction of text taken out (titles and reasons may come from anybody), at most 300
 * characters.
 */
export function toText(value: unknown): string {
  if (value === null || value === undefined || value === "") {
    return "-";
  }
  if (typeof value === "boolean") {
    return value ? "yes" : "no";
  }
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  const clean = text
    .replace(/\s+/g, " ")
    .replace(/[\p{Cc}\u061C\u200E\u200F\u2028-\u202E\u2066-\u2069]/gu, "");
  return clean.length > CELL_CHARACTERS_MAX ? `${clean.slice(0, CELL_CHARACTERS_MAX)}…` : clean;
}

/** A text of several lines for a terminal: what `toText` takes out is taken out, lines and tabs stay. */
export function toLines(text: string): string {
  return text.replace(/(?![\n\t])[\p{Cc}\u061C\u200E\u200F\u2028-\u202E\u2066-\u2069]/gu, "");
}

/** Seconds as the largest unit that fits, e.g. `3 d`, `5 h`, `12 min`. */
export function toAge(seconds: unknown): string {
  if (typeof seconds !== "number") return toText(seconds);
  if (seconds >= 86_400) return `${Math.floor(seconds / 86_400)} d`;
  if (seconds >= 3600) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 60)} min`;
}

/** A time (epoch milliseconds or ISO 8601) in local time, e.g. `2026-11-22 15:27:39`. */
export function toTime(value: unknown): string {
  if (typeof value !== "number" && typeof value !== "string") {
    return "-";
  }
  const date = new Date(value);
  // The Swedish form of a date is the ISO one, in local time.
  return Number.isNaN(date.getTime()) ? toText(value) : date.toLocaleString("sv-SE");
}

/** US dollars, e.g. `$1.25`. */
export function toUsd(value: unknown): string {
  return typeof value === "number" ? `$${value.toFixed(2)}` : toText(value);
}
