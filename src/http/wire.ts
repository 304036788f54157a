import type { RunRecord } from "../domain/ledger.ts";
import type { TokenUsage } from "../ports/gateway.ts";
import type { Conversation } from "../ports/store/conversations.ts";
import type { DeliveryRecord } from "../ports/store/deliveries.ts";
import type { ItemRow } from "../ports/store/items.ts";
import type { RunView, Spent } from "../ports/store/runs.ts";
import type { SessionRow } from "../ports/store/sessions.ts";

/** A moment as the API writes it: ISO 8601 in UTC; null stays null. */
export function time(epochMs: number | null): string | null {
  return epochMs === null ? null : new Date(epochMs).toISOString();
}

/** A delivery as `/api/v1/deliveries` shows it. */
export function deliveryOut(row: DeliveryRecord) {
  return {
    id: row.id,
    event: row.event,
    repo: row.repo,
    number: row.number,
    sender: row.sender,
    received_at: time(row.receivedAt),
    status: row.status,
    reason: row.reason,
  };
}

/** A work item as `/api/v1/items` shows it. */
export function itemOut(row: ItemRow) {
  return {
    repo: row.repo,
    number: row.number,
    pull: row.pull,
    state: row.state,
    decision: row.decision,
    reason: row.reason,
    retry_at: time(row.retryAt),
    usd: row.usd,
  };
}

/** A run as `/api/v1/runs` shows it; a ledger's own record does not repeat its work item. */
export function runOut(run: RunView | (RunRecord & { repo: string; number: number })) {
  return {
    id: run.id,
    agent: run.agent,
    skill: run.skill,
    repo: run.repo,
    number: run.number,
    attempt: run.attempt,
    session: run.session,
    resumed: run.resumed,
    outcome: run.outcome,
    reason: run.reason,
    started_at: time(run.startedAt),
    ended_at: time(run.endedAt),
    usd: run.usd,
    tokens: run.tokens,
  };
}

/**
 * A session with the fields of sessions.json, and those of its current conversation; `now` (epoch
 * ms) is what its age in seconds counts to.
 */
export function sessionOut(row: SessionRow, conversation: Conversation | undefined, now: number) {
  return {
    key: row.key,
    agent: row.agent,
    repo: row.repo,
    number: row.number,
    session_id: row.sessionId,
    created_at: time(row.createdAt),
    updated_at: time(row.updatedAt),
    resumes: row.resumes,
    tainted: row.tainted,
    age_seconds: Math.max(0, Math.floor((now - row.createdAt) / 1000)),
    last_seen: time(row.updatedAt),
    why: conversation?.why ?? null,
    context_tokens: conversation?.contextTokens ?? 0,
    tokens: tokensOut(conversation?.tokens ?? NO_TOKENS),
    usd: conversation?.usd ?? 0,
  };
}

/** One conversation of a session's history; what was handed over is told by its presence alone. */
export function conversationOut(row: Conversation) {
  return {
    session_id: row.sessionId,
    why: row.why,
    started_at: time(row.startedAt),
    last_seen: time(row.lastSeenAt),
    ended_at: time(row.endedAt),
    ended_why: row.endedWhy,
    handed_over: row.handOver !== null,
    context_tokens: row.contextTokens,
    tokens: tokensOut(row.tokens),
    usd: row.usd,
  };
}

/** Money and tokens of some runs as `/api/v1/spending` shows them. */
export function spentOut({ runs, usd, tokens }: Spent) {
  return { runs, usd, tokens: tokensOut(tokens) };
}

const NO_TOKENS: TokenUsage = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 };

function tokensOut({ input, output, cacheRead, cacheWrite }: TokenUsage) {
  return { input, output, cache_read: cacheRead, cache_write: cacheWrite };
}

const TIMES = new Set(["at", "since", "until"]);

/**
 * Any value of the domain as the API writes it: keys in snake_case, and moments (`at`, `since`,
 * `until`, `…At`; epoch ms) as ISO 8601. For what has no form of its own, such as a snapshot.
 */
export function toWire(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.map(toWire);
  }
  if (typeof value !== "object" || value === null) {
    return value;
  }
  return Object.fromEntries(
    Object.entries(value).map(([key, part]) => [
      key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      typeof part === "number" && (TIMES.has(key) || key.endsWith("At"))
        ? time(part)
        : toWire(part),
    ]),
  );
}
