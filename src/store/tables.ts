import type { Generated } from "kysely";
import type { GateReason } from "../domain/gate.ts";
import type { Hold } from "../domain/hold.ts";
import type { EffectRecord, Outcome } from "../domain/ledger.ts";
import type { Skill } from "../domain/skill.ts";
import type { SessionDrop, SessionStart } from "../ports/store/conversations.ts";
import type { DeliveryRecord } from "../ports/store/deliveries.ts";
import type { ItemState } from "../ports/store/items.ts";
import type { MarkTarget } from "../ports/store/marks.ts";
import type { PauseScope } from "../ports/store/work.ts";

/**
 * The tables as Kysely sees them. Times are epoch milliseconds by the service's clock, truth values
 * are 0 and 1, columns ending in `_json` hold JSON text that is validated whenever it is read.
 */
export interface Tables {
  /** Numbers that never come again; `mark` orders all marks. */
  sequence: { name: string; value: number };
  delivery: DeliveryTable;
  mark: MarkTable;
  item: ItemTable;
  snapshot: { repo: string; number: number; snapshot_json: string };
  pull: { repo: string; pull: number; number: number };
  session: SessionColumns;
  /** Digests of the session's line in `sessions.json`, see SessionLines; `writing` "": a write without it is under way. */
  session_line: { key: string; written: string | null; writing: string | null };
  /** Sessions that have changed since their line was read. */
  session_stale: { key: string };
  conversation: ConversationTable;
  run: RunTable;
  run_seen: RunSeenTable;
  effect: EffectTable;
  clone: { repo: string; number: number; agent: string };
  /** One row per sha the service has pushed to a branch of an item. */
  push: {
    seq: Generated<number>;
    repo: string;
    number: number;
    branch: string;
    sha: string;
    run: string;
    pushed_at: number;
  };
  /** `tried`: its removal from the forge was tried since the last push. */
  branch: { repo: string; number: number; branch: string; tried: number };
  pause: { kind: PauseScope["kind"]; name: string };
  hold: HoldTable;
  meta: { key: string; value: string };
  /** Closed gates, see Gate. */
  gate: {
    name: string;
    reason: GateReason;
    attempt: number;
    since: number;
    retry_at: number;
    is_named: number;
    probe: string | null;
    probe_until: number | null;
  };
  /** What the requests of a conversation begin with, see Prefix. */
  prefix: { key: string; session: string; agent: string; model: string; tools: string };
}

/** See DeliveryRecord; `seq` is the order of arrival. */
export interface DeliveryTable {
  seq: Generated<number>;
  id: string;
  event: string;
  repo: string | null;
  number: number | null;
  sender: string | null;
  received_at: number;
  status: DeliveryRecord["status"];
  reason: string | null;
  body_sha256: string;
}

/** Marks as they came, until reconcile has found out to which items they belong. */
export interface MarkTable {
  repo: string;
  kind: MarkTarget["kind"];
  value: string;
  /** Number of the newest mark in this row, from `sequence`: it never comes again, so a row that was removed and made anew is not mistaken for the old one. */
  count: number;
  /** Number of the oldest mark in this row. */
  first_seq: number;
  /** Number of the oldest urgent mark in this row. */
  urgent_seq: number | null;
  first_at: number;
  /** It could not be resolved: not again before this time, and how often that was so. */
  not_before: number | null;
  tries: number;
}

/** One row per work item: what was decided, its order, its lease and fence. */
export interface ItemTable {
  id: Generated<number>;
  repo: string;
  number: number;
  pull: number | null;
  /** Marks ever, and how many of them a reconcile has answered. */
  mark: number;
  settled: number;
  /** The oldest mark since the last claim: its number and time, and the number of the oldest urgent one. */
  marked_seq: number | null;
  marked_at: number | null;
  urgent_seq: number | null;
  look_again_at: number | null;
  /** No reconcile before this time, whatever marks there are. */
  not_before: number | null;
  state: Generated<ItemState>;
  decision: Generated<string>;
  reason: Generated<string>;
  parks_json: Generated<string>;
  order_json: string | null;
  order_agent: string | null;
  order_fingerprint: string | null;
  order_seq: number | null;
  lease_kind: "reconcile" | "run" | null;
  lease_owner: string | null;
  lease_until: number | null;
  /** The agent a run lease is for. */
  lease_agent: string | null;
  fence: Generated<number>;
  said: string | null;
  /** Id of the newest run when an operator last let the item go on. */
  continued_after: string | null;
}

/** An operator's word about one item, see Hold; the ids of `known` are null until the forge was read. */
export interface HoldTable {
  repo: string;
  number: number;
  kind: Hold["kind"];
  agent: string | null;
  since: number;
  known_comment: number | null;
  known_review: number | null;
  known_act: number | null;
}

/** See SessionRow. */
export interface SessionColumns {
  key: string;
  agent: string;
  repo: string;
  number: number;
  session_id: string;
  created_at: number;
  updated_at: number;
  resumes: number;
  tainted: number;
  usd_total: number;
}

/** One conversation of a session, see Conversation; the newest of a key and an id is the current one. */
interface ConversationTable {
  seq: Generated<number>;
  key: string;
  session: string;
  why: SessionStart;
  started_at: number;
  last_seen_at: Generated<number>;
  context_tokens: Generated<number>;
  hand_over: string | null;
  ended_at: number | null;
  ended_why: SessionDrop | null;
}

/** See RunRecord; the row carries the process, too. */
export interface RunTable {
  seq: Generated<number>;
  id: string;
  repo: string;
  number: number;
  agent: string;
  skill: Skill;
  attempt: number;
  fingerprint: string;
  session_key: string;
  session: string;
  resumed: number;
  started_at: number;
  ended_at: number | null;
  outcome: Outcome | null;
  reason: string | null;
  usd: Generated<number>;
  tokens_input: Generated<number>;
  tokens_output: Generated<number>;
  tokens_cache_read: Generated<number>;
  tokens_cache_write: Generated<number>;
  /** Its session had seen text of somebody without write access: outlives the session. */
  tainted: number;
  head_sha: string | null;
  pushed_sha: string | null;
  shown_json: string;
  prompt_bytes: number;
  pid: number | null;
  start_ticks: string | null;
  boot_id: string | null;
  /** The holder of the lease under which it was started; null: of a version that did not say. */
  owner: string | null;
  /** Somebody else has ended it because its lease ran out; its process may still live on its host. */
  orphaned: Generated<number>;
}

interface RunSeenTable {
  run: string;
  seen_json: string;
}

/** See EffectRecord; intent and result are one row. */
export interface EffectTable {
  id: Generated<number>;
  key: string;
  run: string;
  repo: string;
  number: number;
  tool: string;
  state: EffectRecord["state"];
  ref: number | null;
  text: Generated<string>;
  at: number;
}
