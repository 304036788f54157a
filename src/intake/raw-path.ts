/**
 * The path of an absolute request URL exactly as it stands there: not decoded, so that `/%77ebhook`
 * is another path than `/webhook`. Without query and fragment; "" when the URL has no path.
 */
export function rawPath(url: string): string {
  const authority = url.indexOf("//");
  const start = url.indexOf("/", authority < 0 ? 0 : authority + 2);
  if (start < 0) {
    return "";
  }
  const end = url.slice(start).search(/[?#]/);
  return end < 0 ? url.slice(start) : url.slice(start, start + end);
}
