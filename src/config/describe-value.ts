const SHOWN_CHARACTERS = 80;

/**
 * A value of the document for a message, at most 80 characters and on one line. Whatever may be a
 * secret (`secret`: the key is one, or nobody knows what the key means) is shown as its length.
 */
export function describeValue(value: unknown, secret: boolean): string {
  if (value === undefined) {
    return "missing";
  }
  if (typeof value === "string") {
    return secret ? `a text of ${Buffer.byteLength(value)} bytes` : quote(withoutUserInfo(value));
  }
  if (Array.isArray(value)) {
    return value.length === 0 ? "an empty list" : `a list of ${value.length}`;
  }
  if (typeof value === "object" && value !== null) {
    const count = Object.keys(value).length;
    return count === 0
      ? "an empty mapping"
      : `a mapping of ${count} ${count === 1 ? "key" : "keys"}`;
  }
  return secret && value !== null ? `a ${typeof value} value` : String(value);
}

/** Quoted, cut, and without anything that could command a terminal. */
function quote(text: string): string {
  const cut = text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text;
  return JSON.stringify(cut).replace(
    /[\u007F-\u009F\u200E\u200F\u061C\u202A-\u202E\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function withoutUserInfo(text: string): string {
  return text.replace(/:\/\/[^\s/]{1,2000}@/g, "://[secret]@");
}
