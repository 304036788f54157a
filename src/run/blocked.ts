import type { Blocker } from "../domain/gate.ts";
import type { AgentEnd } from "../ports/agent.ts";
import type { RunMeter } from "../ports/gateway.ts";

/** Statuses of the model's server that go with what the CLI says; null: it could not be reached. */
const BORNE_OUT: Readonly<Record<string, (status: number | null) => boolean>> = {
  auth: (status) => status === 401 || status === 403,
  credit: (status) => status === 400 || status === 402 || status === 403 || status === 429,
  usage_limit: (status) => status === 429,
  rate_limit: (status) => status === 429,
  overloaded: (status) => status === 529 || status === 503,
  server: (status) => status !== null && status >= 500,
  network: (status) => status === null,
};

/**
 * What keeps the model out of reach of every run behind the same gate, or null when the end of this
 * run is its own affair. The CLI's word is not enough for that: an agent with a shell could speak in
 * its place and hold up everybody. The gateway must have seen the same.
 */
export function blockerOf(
  end: AgentEnd,
  seen: { readonly gate: string; readonly meter: RunMeter },
): Blocker | null {
  const { gate: name, meter } = seen;
  const refusal = meter.refusal ?? null;
  if (refusal === null) return null;
  switch (end.kind) {
    case "wait": {
      const { reason } = end;
      if (reason === "transcripts" || !isBorneOut(reason, refusal.status)) return null;
      const resetsAt = reason === "usage_limit" ? (meter.limitResetsAt ?? null) : null;
      return { name, reason, until: resetsAt ?? meter.retryAt };
    }
    case "operator": {
      const { reason } = end;
      if (reason !== "auth" && reason !== "credit") return null;
      return isBorneOut(reason, refusal.status) ? { name, reason, until: null } : null;
    }
    default:
      return null;
  }
}

function isBorneOut(reason: string, status: number | null): boolean {
  return BORNE_OUT[reason]?.(status) ?? false;
}
