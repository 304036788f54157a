/**
 * The path of an absolute request URL exactly as it stands there: not decoded, so that `/%77ebhook`
 * is another path than `/webhook`. Without query and fragment; "" when the URL has no path.
 */
export function rawPath(url: string): string {
  return url.replace(/^(?:[^/?#]*\/\/)?[^/?#]*/, "").replace(/[?#].*$/s, "");
}
