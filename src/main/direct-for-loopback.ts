/**
 * Bun's fetch sends requests for loopback through HTTP_PROXY, headers included (measured with 1.4.5);
 * a forge or a model beside us must never be reached through somebody else. `env` is the process's own
 * environment and is changed.
 */
export function directForLoopback(env: Record<string, string | undefined>): void {
  const named = env["NO_PROXY"] ?? env["no_proxy"] ?? "";
  const hosts = ["127.0.0.1", "localhost", "::1", ...named.split(",").filter(Boolean)];
  env["NO_PROXY"] = [...new Set(hosts)].join(",");
}
