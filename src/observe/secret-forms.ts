/** Shorter values are not searched for: they would be found in ordinary words. */
const VALUE_CHARACTERS_MIN = 4;
/** An encoded form shorter than this says too little to be told from ordinary text. */
const FORM_CHARACTERS_MIN = 8;

/**
 * Every way in which a secret value may stand in a text: as it is, JSON-escaped, URL-encoded, in
 * hex of either case, and in base64 and base64url, also in the middle of something longer (as in
 * `Basic base64(user:token)`). Fragments of the value are not searched for.
 */
export function secretForms(value: string): string[] {
  if (value.length < VALUE_CHARACTERS_MIN) {
    return [];
  }
  const hex = Buffer.from(value).toString("hex");
  const url = encodeURIComponent(value);
  const encoded = [
    JSON.stringify(value).slice(1, -1),
    url,
    url.replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase()),
    url.replaceAll("%20", "+"),
    hex,
    hex.toUpperCase(),
    ...[0, 1, 2].flatMap((shift) => base64Forms(value, shift)),
  ];
  return [...new Set([value, ...encoded.filter((form) => form.length >= FORM_CHARACTERS_MIN)])];
}

/**
 * The characters of base64 that depend on the value alone when `shift` other bytes (mod 3) stand
 * before it: what its first and last bytes share with their neighbours is left out.
 */
function base64Forms(value: string, shift: number): string[] {
  const bytes = Buffer.concat([Buffer.alloc(shift), Buffer.from(value)]);
  const first = Math.ceil((shift * 8) / 6);
  const end = Math.floor((bytes.length * 8) / 6);
  const whole = bytes.toString("base64").slice(first, end);
  return [whole, whole.replaceAll("+", "-").replaceAll("/", "_")];
}
