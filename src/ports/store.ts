import type { RunOrder } from "../domain/decision.ts";
import type { EffectRecord, Ledger, Outcome, Park, RunRecord } from "../domain/ledger.ts";
import type { Seen } from "../domain/seen.ts";
import type { ItemRef, Snapshot } from "../domain/snapshot.ts";
import type { TokenUsage } from "./gateway.ts";
import type { ProcessIdentity } from "./jail.ts";

/** "Look at this again", as it came: reconcile resolves branches and shas to work items. */
export type MarkTarget =
  | { readonly kind: "number"; readonly number: number }
  | { readonly kind: "branch"; readonly branch: string }
  | { readonly kind: "sha"; readonly sha: string };

export interface Mark {
  readonly repo: string;
  readonly target: MarkTarget;
}

export type StoreFailureKind =
  /** The database cannot be opened or brought to this version's tables. */
  | "open"
  /** A newer version of this service has written the database. */
  | "newer"
  /** A page was asked for with a cursor that no answer has given. */
  | "cursor"
  /** Something was said of a run that was never started. */
  | "unknown_run";

/** What the store refuses; the message names the value and the remedy. */
export class StoreFailure extends Error {
  override readonly name = "StoreFailure";
  readonly kind: StoreFailureKind;

  constructor(kind: StoreFailureKind, message: string, options?: { readonly cause: unknown }) {
    super(message, options);
    this.kind = kind;
  }
}

export interface DeliveryRecord {
  readonly id: string;
  readonly event: string;
  readonly repo: string | null;
  readonly number: number | null;
  readonly sender: string | null;
  readonly receivedAt: number;
  readonly status: "accepted" | "ignored";
  readonly reason: string | null;
  readonly bodySha256: string;
}

/** A page of a list, newest first; `next` goes into `before` of the following call. */
export interface Page<T> {
  readonly rows: readonly T[];
  readonly next: string | null;
}

export interface DeliveryStore {
  /** Durable when it resolves; `duplicate` and nothing written when the id is known. */
  record(delivery: DeliveryRecord, marks: readonly Mark[]): Promise<"accepted" | "duplicate">;
  list(limit: number, before: string | null): Promise<Page<DeliveryRecord>>;
}

/** An unresolved mark with the counter value that was read. */
export interface MarkRow {
  readonly mark: Mark;
  readonly count: number;
}

export type ItemState = "idle" | "waiting" | "running" | "parked";

/** What is known of an item without asking the forge: the operator's line. */
export interface ItemRow {
  readonly repo: string;
  readonly number: number;
  readonly pull: number | null;
  readonly state: ItemState;
  readonly decision: string;
  readonly reason: string;
  /** When it is looked at or tried again, epoch ms; null: on the next mark. */
  readonly retryAt: number | null;
  readonly usd: number;
}

/** The fenced right to reconcile or run one work item until `leaseUntil`. */
export interface Claim {
  readonly item: ItemRef;
  readonly owner: string;
  readonly fence: number;
  /** The mark counter that was read; settling clears only up to it. */
  readonly mark: number;
}

export interface RunClaim extends Claim {
  readonly order: RunOrder;
}

/** How a reconcile ends. `order` asks for a run; it waits for a slot without lease. */
export interface ReconcileResult {
  readonly decision: string;
  readonly reason: string;
  readonly state: ItemState;
  readonly lookAgainAt: number | null;
  readonly order: RunOrder | null;
  readonly snapshot: Snapshot | null;
  readonly pull: number | null;
  /** The item's parks from now on. */
  readonly parks: readonly Park[];
}

export interface RunLimits {
  readonly runs: number;
  readonly runsPerAgent: number;
}

export interface WorkStore {
  /** Adds one to the counter of every mark; `urgent` ones (webhooks) are reconciled before sweeps. */
  mark(marks: readonly Mark[], urgent: boolean): Promise<void>;
  unresolved(limit: number): Promise<readonly MarkRow[]>;
  /** Moves a mark to the items it turned out to be (none: it concerns nothing), in one transaction. */
  resolve(row: MarkRow, items: readonly ItemRef[]): Promise<void>;
  claimReconcile(owner: string, leaseMs: number): Promise<Claim | null>;
  /** False: the lease was lost and nothing was written. */
  settleReconcile(claim: Claim, result: ReconcileResult): Promise<boolean>;
  claimRun(owner: string, leaseMs: number, limits: RunLimits): Promise<RunClaim | null>;
  /** Renews the lease; tells whether it is still ours and the item's mark counter now. */
  heartbeat(
    claim: Claim,
    leaseMs: number,
  ): Promise<{ readonly held: boolean; readonly mark: number }>;
  /** Ends the run's lease and marks the item again; `notBefore` delays the next reconcile (a retry time), `park` is added to the item's parks in place of one of the same row. */
  settleRun(
    claim: Claim,
    after: { readonly notBefore: number | null; readonly park: Park | null },
  ): Promise<boolean>;
  /** Frees leases that ran out, and all of `owner` (boot); resolves with how many. */
  reap(owner: string | null): Promise<number>;
  /** The next moment at which something becomes due, epoch ms, or null. */
  nextDue(): Promise<number | null>;
  items(limit: number, before: string | null): Promise<Page<ItemRow>>;
  item(ref: ItemRef): Promise<ItemRow | null>;
  snapshot(ref: ItemRef): Promise<Snapshot | null>;
  /** Items with something local: session, clone, run, park, open intent, waiting order. */
  localItems(): Promise<readonly ItemRef[]>;
  waiting(): Promise<{ readonly waiting: number; readonly active: number }>;
  pause(scope: PauseScope, on: boolean): Promise<void>;
  paused(): Promise<readonly PauseScope[]>;
}

export type PauseScope =
  | { readonly kind: "all" }
  | { readonly kind: "repo"; readonly repo: string }
  | { readonly kind: "agent"; readonly agent: string };

/** Which work item a pull request belongs to; a row never changes once written. */
export interface PullTable {
  itemOf(repo: string, pull: number): Promise<number | null>;
  pullsOf(item: ItemRef): Promise<readonly number[]>;
  /** Resolves with the number that holds: the given one, or the one written before. */
  write(repo: string, pull: number, number: number): Promise<number>;
}

export interface SessionRow {
  /** `<agent>:<owner>/<repo>#<number>`, repository in lower case. */
  readonly key: string;
  readonly agent: string;
  readonly repo: string;
  readonly number: number;
  readonly sessionId: string;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly resumes: number;
  readonly tainted: boolean;
  /** US dollars of this session's runs, as the gateway has counted them. */
  readonly usdTotal: number;
}

/** One session beside what `sessions.json` may hold of it. */
export interface SessionLine {
  readonly key: string;
  /** Null: it was dropped, but its line may still stand in the file. */
  readonly session: SessionRow | null;
  /** Digest of its line in the file; null: the file has none. */
  readonly written: string | null;
  /** Digest of the line that a write under way puts there, "" when it takes it away; null: none is under way. */
  readonly writing: string | null;
}

/** What a start found in `sessions.json` under one key, and what follows for the session. */
export interface SeenLine {
  readonly key: string;
  /** Digest of the line that stands there, or null. */
  readonly written: string | null;
  readonly change:
    | { readonly kind: "none" }
    | { readonly kind: "put"; readonly session: SessionRow }
    | { readonly kind: "drop" };
}

/**
 * The record of what stands in `sessions.json`, by which a start tells a person's edit from our own
 * older copy. A write announces its digests before the rename and confirms them when the directory is
 * synced, so that after a kill at any moment each line of the file is one of the two known here. What
 * takes an `owner` resolves with false, and has done nothing, when another process has claimed since.
 */
export interface SessionLines {
  /** Makes the caller the only writer of the file from now on; resolves with its `owner` number. */
  claim(): Promise<number>;
  /** Up to `limit` sessions and dropped ones whose key comes after `after`, ordered by key. */
  page(after: string, limit: number): Promise<readonly SessionLine[]>;
  /** Up to `limit` keys whose session has changed or was dropped since this call gave them last; null when somebody else has claimed. */
  takeStale(owner: number, limit: number): Promise<readonly string[] | null>;
  /** What is known of these keys, those that nothing is known of left out. */
  of(keys: readonly string[]): Promise<readonly SessionLine[]>;
  /** Forgets the announcement of a write that ended before its rename. */
  withdraw(owner: number): Promise<boolean>;
  announce(
    owner: number,
    lines: readonly { readonly key: string; readonly digest: string }[],
  ): Promise<boolean>;
  /** Calls `rename` while nobody else can claim. */
  rename(owner: number, rename: () => void): Promise<boolean>;
  confirm(owner: number): Promise<boolean>;
  /** Applies what a start has found, all in one transaction. */
  settle(owner: number, seen: readonly SeenLine[]): Promise<boolean>;
}

export interface SessionTable {
  get(key: string): Promise<SessionRow | null>;
  /** Inserts or replaces; calls of one turn of the event loop share one commit. */
  put(row: SessionRow): Promise<void>;
  /** Inserts or replaces all of them in one transaction. */
  putAll(rows: readonly SessionRow[]): Promise<void>;
  /** True when there was one. */
  drop(key: string): Promise<boolean>;
  /** Drops every agent's session of one number; resolves with their keys. */
  dropAll(repo: string, number: number): Promise<readonly string[]>;
  /** Ordered by key. */
  all(): Promise<readonly SessionRow[]>;
  count(): Promise<number>;
  /** True while no session was ever kept here: none is stored and none was dropped. */
  isPristine(): Promise<boolean>;
  readonly lines: SessionLines;
}

/** Why a session is given a new conversation in place of the one it has. */
export type Rotation =
  /** It was resumed often enough. */
  | "resumes"
  /** Its context has grown to the limit. */
  | "context"
  | "age"
  /** The model took no more: its prompt was too long. */
  | "context_full";

/** Why a conversation began. */
export type SessionStart =
  | "first"
  | Rotation
  /** The one before it was not there any more. */
  | "lost"
  /** The one before it must not steer a merge. */
  | "tainted"
  /** An operator dropped the one before it. */
  | "reset"
  /** A person wrote its id into sessions.json. */
  | "by_hand";

/** Why a conversation is no longer the session's. */
export type SessionDrop =
  | Exclude<SessionStart, "first">
  /** Its work item is done. */
  | "closed"
  /** It was taken out of sessions.json, or nobody said why. */
  | "removed";

/** One conversation of a session: the current one, or one that was rotated or dropped. */
export interface Conversation {
  readonly key: string;
  readonly sessionId: string;
  readonly why: SessionStart;
  readonly startedAt: number;
  /** When it was last used, epoch ms. */
  readonly lastSeenAt: number;
  /** Tokens of its newest request, those from the cache included, as the gateway has counted them. */
  readonly contextTokens: number;
  /** What the conversation before it left for it, or null. */
  readonly handOver: string | null;
  readonly endedAt: number | null;
  readonly endedWhy: SessionDrop | null;
  /** All its runs together. */
  readonly usd: number;
  readonly tokens: TokenUsage;
}

/** The history of all sessions; a row comes and goes with every write of the session table. */
export interface ConversationTable {
  /** The current conversation of each key that has one. */
  current(keys: readonly string[]): Promise<ReadonlyMap<string, Conversation>>;
  /** The newest `limit` conversations under a key, newest first. */
  of(key: string, limit: number): Promise<readonly Conversation[]>;
  /** Names the reason before the current conversations of these keys are dropped. */
  ending(keys: readonly string[], why: SessionDrop): Promise<void>;
}

/** What a new conversation is given along. */
export interface Beginning {
  readonly why: SessionStart;
  readonly handOver: string | null;
}

/** Money and tokens of some runs. */
export interface Spent {
  readonly runs: number;
  readonly usd: number;
  readonly tokens: TokenUsage;
}

export interface RunStart {
  readonly id: string;
  readonly item: ItemRef;
  readonly order: RunOrder;
  readonly session: SessionRow;
  readonly resumed: boolean;
  readonly startedAt: number;
  readonly shown: readonly string[];
  /** What the session has seen once it has read this run's prompt. */
  readonly seen: Seen;
  readonly promptBytes: number;
  /** Why the conversation begins, if the run begins one. */
  readonly begins?: Beginning;
}

export interface RunEnd {
  readonly id: string;
  readonly endedAt: number;
  readonly outcome: Outcome;
  readonly reason: string;
  /** Left out, with `tokens`: what was metered while it ran holds. */
  readonly usd?: number;
  readonly tokens?: TokenUsage;
  /** The session after the run, written in the same transaction; null drops it. */
  readonly session: SessionRow | null;
  /** Tokens of the newest request of its conversation; left out when there was none. */
  readonly contextTokens?: number;
}

export interface RunView extends RunRecord {
  readonly repo: string;
  readonly number: number;
  readonly promptBytes: number;
}

export interface RunStore {
  /** Writes run and session in one transaction, fenced by the claim; false when the lease is lost. Resolves with the attempt number. */
  start(claim: Claim, run: RunStart): Promise<number | null>;
  spawned(run: string, process: ProcessIdentity): Promise<void>;
  pushed(run: string, branch: string, sha: string): Promise<void>;
  /** The run goes on in another session (the old conversation was lost); writes both rows in one transaction. */
  sessionChanged(
    run: string,
    session: SessionRow,
    told: {
      readonly shown: readonly string[];
      readonly seen: Seen;
      readonly begins?: Beginning;
    },
  ): Promise<void>;
  /** What the run has used so far, so that a kill does not lose it; nothing once it has ended. */
  metered(run: string, used: { readonly usd: number; readonly tokens: TokenUsage }): Promise<void>;
  /** What was spent in all, by agent, and on each of the last `days` UTC days with a run that ended; newest day first. */
  spent(days: number): Promise<{
    readonly all: Spent;
    readonly agents: readonly (Spent & { readonly agent: string })[];
    readonly days: readonly (Spent & { readonly day: string })[];
  }>;
  end(end: RunEnd): Promise<void>;
  /** Runs without an end, with the process of their CLI if it was recorded (boot: end these first). */
  unfinished(): Promise<
    readonly { readonly run: RunView; readonly process: ProcessIdentity | null }[]
  >;
  list(limit: number, before: string | null): Promise<Page<RunView>>;
  get(id: string): Promise<RunView | null>;
  /** What the run's session had seen with its prompt, or null for an unknown run. */
  seen(id: string): Promise<Seen | null>;
  totals(): Promise<{
    readonly started: number;
    readonly succeeded: number;
    readonly failed: number;
    readonly parked: number;
    readonly active: number;
  }>;
}

export interface EffectStore {
  /** Writes the intent; an existing record of the key is returned instead and nothing is written. */
  intend(effect: {
    key: string;
    run: string;
    item: ItemRef;
    tool: string;
    at: number;
  }): Promise<EffectRecord>;
  finish(
    id: number,
    end: { state: "done" | "refused"; ref: number | null; text: string },
  ): Promise<void>;
  openIntents(item: ItemRef): Promise<readonly EffectRecord[]>;
}

export interface LedgerStore {
  /** Everything `decide` needs of one item, read in one transaction. */
  read(item: ItemRef): Promise<Ledger>;
  cloneMade(item: ItemRef, agent: string): Promise<void>;
  clonesRemoved(item: ItemRef): Promise<void>;
  branchTried(item: ItemRef, branch: string): Promise<void>;
  /** A comment we wrote about a park: its text digest, so that only a different text is said. */
  said(item: ItemRef): Promise<string | null>;
  say(item: ItemRef, text: string | null): Promise<void>;
}

/** Small values of the service itself, such as the start of the last complete sweep. */
export interface MetaStore {
  get(key: string): Promise<string | null>;
  set(key: string, value: string): Promise<void>;
}

export interface Store {
  readonly deliveries: DeliveryStore;
  readonly work: WorkStore;
  readonly pulls: PullTable;
  readonly sessions: SessionTable;
  readonly conversations: ConversationTable;
  readonly runs: RunStore;
  readonly effects: EffectStore;
  readonly ledger: LedgerStore;
  readonly meta: MetaStore;
  /** Called after every write that may make work due. */
  onWake(listener: () => void): void;
  close(): Promise<void>;
}
