import { type Backoff, backoffMs } from "./backoff.ts";

/** What can be out of reach for everybody, and not because of any work item. */
type GateKind = "model" | "forge" | "sandbox" | "disk";

/** Why a gate is closed. */
export type GateReason =
  | "auth"
  | "credit"
  | "usage_limit"
  | "rate_limit"
  | "overloaded"
  | "network"
  | "server"
  | "unavailable"
  | "missing"
  | "full";

/**
 * A closed gate: something that no run can do without is not there, so no new run begins behind it.
 * An open gate is null. Being held by a gate is no failure of anybody.
 */
export interface Gate {
  /** `forge`, `sandbox`, `disk`, or `model:<credential>`: one for each credential. */
  readonly name: string;
  readonly reason: GateReason;
  /** How often in a row it was tried and found closed. */
  readonly attempt: number;
  /** When it was closed, epoch milliseconds. */
  readonly since: number;
  /** When one may try, epoch milliseconds. */
  readonly retryAt: number;
  /** The other side has named the time (a usage limit's reset); else it is only our next attempt. */
  readonly isNamed: boolean;
  /** Who tries now; null: nobody. */
  readonly probe: string | null;
}

/** What was found not to be there. */
export interface Blocker {
  readonly name: string;
  readonly reason: GateReason;
  /** When the other side says it is there again, epoch milliseconds, or null. */
  readonly until: number | null;
}

/** What is asked of nobody but the model's server costs money or patience there; the rest is cheap to ask. */
const BACKOFF: Readonly<Record<GateKind, Backoff>> = {
  model: { firstMs: 60_000, mostMs: 30 * 60_000 },
  forge: { firstMs: 5_000, mostMs: 60_000 },
  sandbox: { firstMs: 10_000, mostMs: 5 * 60_000 },
  disk: { firstMs: 10_000, mostMs: 60_000 },
};
/** A limit of a week is the longest there is; a time further away is a mistake or a lie. */
const NAMED_MS_MAX = 8 * 86_400_000;
const WAIT_MS_MIN = 1_000;
/** Waits shorter than this are not told to people. */
export const LONG_WAIT_MS = 10 * 60_000;

/** The name under which a claimed run passes gates; it never comes again, as the fence only rises. */
export function passName(claim: {
  readonly item: { readonly repo: string; readonly number: number };
  readonly fence: number;
}): string {
  return `${claim.item.repo}#${claim.item.number}@${claim.fence}`;
}

/** What a gate's name stands for: the part before the colon. */
function gateKind(name: string): GateKind {
  const kind = name.split(":")[0];
  return kind === "forge" || kind === "sandbox" || kind === "disk" ? kind : "model";
}

/**
 * The gate after somebody found that it is closed. Who was let through to try makes it one attempt
 * more; news of anybody else, who had begun before, can only prolong the wait.
 */
export function closeGate(
  gate: Gate | null,
  found: Blocker & { readonly by: string | null },
  at: { readonly now: number; readonly chance: number },
): Gate {
  const { name, reason, by } = found;
  const { now } = at;
  const named = found.until === null ? null : Math.min(found.until, now + NAMED_MS_MAX);
  if (gate !== null && (by === null || by !== gate.probe)) {
    if (named === null || named <= gate.retryAt) return gate;
    return { ...gate, reason, retryAt: named, isNamed: true };
  }
  const attempt = (gate?.attempt ?? 0) + 1;
  const backoff = BACKOFF[gateKind(name)];
  // Whoever names a moment again and again is believed only for as long as the next attempt is.
  const ours = attempt === 1 ? WAIT_MS_MIN : backoffMs(attempt - 1, backoff, at.chance);
  const retryAt =
    named === null ? now + backoffMs(attempt, backoff, at.chance) : Math.max(named, now + ours);
  const since = gate?.since ?? now;
  return { name, reason, attempt, since, retryAt, isNamed: named !== null, probe: null };
}

/** Whether something may go through now: freely, as the one that tries, or not. */
export function passage(gate: Gate | null, now: number): "free" | "probe" | "closed" {
  if (gate === null) return "free";
  return gate.probe === null && now >= gate.retryAt ? "probe" : "closed";
}

/** The gate with `by` let through to try; only when `passage` says so. */
export function beginProbe(gate: Gate, by: string): Gate {
  return { ...gate, probe: by };
}

/** The gate after `by` is over without having found out anything: the next one may try. */
export function leaveProbe(gate: Gate, by: string): Gate {
  return gate.probe === by ? { ...gate, probe: null } : gate;
}

/** The gate after `by` went through: open if it was the one that tried. */
export function passGate(gate: Gate, by: string): Gate | null {
  return gate.probe === by ? null : gate;
}

/** Whether people are told of this wait: all of it, from the closing to the next attempt. */
export function isLongWait({ since, retryAt }: Gate): boolean {
  return retryAt - since >= LONG_WAIT_MS;
}

/** What is waited for and who must do something, one sentence for people. */
export function gateSentence({ name, reason }: Pick<Gate, "name" | "reason">): string {
  switch (gateKind(name)) {
    case "forge":
      return "the forge does not answer; work goes on by itself";
    case "sandbox":
      return "the sandbox of this host does not start; the operator has to mend it, then work goes on by itself";
    case "disk":
      return "the disk of this host or of its database is full; the operator has to make room, then work goes on by itself";
    case "model":
      return modelSentence(reason);
  }
}

function modelSentence(reason: GateReason): string {
  switch (reason) {
    case "usage_limit":
      return "the usage limit of the model's account is reached; work goes on by itself";
    case "auth":
      return "the model's server refuses the credential; the operator has to mend it, then work goes on by itself";
    case "credit":
      return "the account at the model's server has no credit; the operator has to mend it, then work goes on by itself";
    default:
      return "the model's server takes no requests now; work goes on by itself";
  }
}
