import { createHmac, timingSafeEqual } from "node:crypto";

/**
 * Whether `signature` is the lower hex HMAC-SHA256 of the raw body under one of the secrets.
 * A missing, empty, doubled (", "-joined), upper-case or prefixed value is false, never an error;
 * every secret is tried, so that the time does not tell which one matched. A forge whose hook has
 * no secret signs with the empty one: an empty secret here never matches.
 */
export function isSigned(
  body: Uint8Array,
  signature: string | null,
  secrets: readonly Buffer[],
): boolean {
  if (signature === null || !/^[0-9a-f]{64}$/.test(signature)) {
    return false;
  }
  const given = Buffer.from(signature, "hex");
  let matched = false;
  for (const secret of secrets) {
    if (secret.byteLength === 0) {
      continue;
    }
    const expected = createHmac("sha256", secret).update(body).digest();
    matched = timingSafeEqual(expected, given) || matched;
  }
  return matched;
}
