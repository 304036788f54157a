import type { Spending } from "../domain/budget.ts";
import type { RunOrder } from "../domain/decision.ts";
import type { Hold, PeoplesNewest } from "../domain/hold.ts";
import type { EffectRecord, Ledger, Outcome, Park, RunRecord } from "../domain/ledger.ts";
import type { Seen } from "../domain/seen.ts";
import type { ItemRef, Snapshot } from "../domain/snapshot.ts";
import type { GateTable } from "./gates.ts";
import type { TokenUsage } from "./gateway.ts";
import type { ProcessIdentity } from "./jail.ts";

/** "Look at this again", as it came: reconcile resolves branches and shas to work items. */
export type MarkTarget =
  | { readonly kind: "number"; readonly number: number }
  | { readonly kind: "branch"; readonly branch: string }
  | { readonly kind: "sha"; readonly sha: string };

/** A place that is to be looked at again; `repo` is `owner/name` in lower case. */
export interface Mark {
  readonly repo: string;
  readonly target: MarkTarget;
}

/** Why the store refuses. */
export type StoreFailureKind =
  /** The database cannot be opened or brought to this version's tables. */
  | "open"
  /** A newer version of this service has written the database. */
  | "newer"
  /** A page was asked for with a cursor that no answer has given. */
  | "cursor"
  /** Something was said of a run that was never started. */
  | "unknown_run"
  /** The claim under which something was to be written is somebody else's by now. */
  | "lost"
  /** The database ended the same write again and again in favour of somebody else's. */
  | "conflict";

/** What the store refuses; the message names the value and the remedy. */
export class StoreFailure extends Error {
  override readonly name = "StoreFailure";
  readonly kind: StoreFailureKind;

  constructor(kind: StoreFailureKind, message: string, options?: { readonly cause: unknown }) {
    super(message, options);
    this.kind = kind;
  }
}

/** What the engines say of a disk without room (sqlite.org/rescode.html; PostgreSQL, appendix A: disk_full). */
const NO_ROOM: readonly string[] = ["SQLITE_FULL", "53100"];

/** Whether a write failed because the disk of the database is full: nobody's fault, and it passes. */
export function isOfFullDisk(error: unknown): boolean {
  return error instanceof Error && "code" in error && NO_ROOM.includes(String(error.code));
}

/** A delivery as it is kept: of its body the digest only. `receivedAt` is epoch ms. */
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

/** The deliveries that were taken in. */
export interface DeliveryStore {
  /**
   * Durable when it resolves. `duplicate`: an accepted delivery of this id is known, and nothing was
   * written; or one of another id with the same event and body (the same hook registered twice) was
   * accepted at most 5 minutes before: then it is kept, and its marks are set all the same. What was
   * ignored, or failed with its transaction, is not remembered as handled: sent again under the same
   * id it is taken as if it were new.
   */
  record(delivery: DeliveryRecord, marks: readonly Mark[]): Promise<"accepted" | "duplicate">;
  /** Deletes up to `limit` of those received before (epoch ms), the oldest first; resolves with how many. */
  forget(before: number, limit: number): Promise<number>;
  list(limit: number, before: string | null): Promise<Page<DeliveryRecord>>;
}

/** An unresolved mark with the counter value that was read. */
export interface MarkRow {
  readonly mark: Mark;
  readonly count: number;
  /** How often it could not be resolved. */
  readonly tries: number;
}

/** `waiting`: it has an order that waits for a slot. */
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
  /** The agent whose order waits for its turn, or null. */
  readonly waitsFor: string | null;
}

/** The fenced right to reconcile or run one work item until `leaseUntil`. */
export interface Claim {
  readonly item: ItemRef;
  readonly owner: string;
  readonly fence: number;
  /** The mark counter that was read; settling clears only up to it. */
  readonly mark: number;
}

/** The right to carry out the item's order. */
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

/** What may run at the same time. */
export interface RunLimits {
  readonly runs: number;
  readonly runsPerAgent: number;
  /** Agents none of whose orders may begin now. */
  readonly held?: readonly string[];
}

/** Whether a lease still runs under its claim, and the mark counter of its item. */
interface LeaseState {
  readonly held: boolean;
  readonly mark: number;
}

/** A mark, and the items it turned out to be. */
export interface MarkMove {
  readonly row: MarkRow;
  readonly items: readonly ItemRef[];
}

/** The queue: marks, work items with their leases, pauses and holds. */
export interface WorkStore {
  /** Adds one to the counter of every mark; `urgent` ones (webhooks) are reconciled before sweeps. */
  mark(marks: readonly Mark[], urgent: boolean): Promise<void>;
  /** Those that may be looked at now, the urgent ones first. */
  unresolved(limit: number): Promise<readonly MarkRow[]>;
  /** The mark could not be resolved: it is looked at again at `until` (epoch ms). */
  postpone(row: MarkRow, until: number): Promise<void>;
  /** Moves each mark to the items it turned out to be (none: it concerns nothing), all in one transaction. */
  resolve(moves: readonly MarkMove[]): Promise<void>;
  claimReconcile(owner: string, leaseMs: number): Promise<Claim | null>;
  /** Takes the lease of one known item that nobody has, so that nothing runs on it meanwhile; its marks, times and waiting order stay. Null: somebody has it, or it is unknown. */
  claimItem(item: ItemRef, owner: string, leaseMs: number): Promise<Claim | null>;
  /** Gives that lease back and changes nothing else. */
  release(claim: Claim): Promise<void>;
  /** False: the lease was lost and nothing was written. */
  settleReconcile(claim: Claim, result: ReconcileResult): Promise<boolean>;
  claimRun(owner: string, leaseMs: number, limits: RunLimits): Promise<RunClaim | null>;
  /** Renews the lease; tells whether it is still ours and the item's mark counter now. */
  heartbeat(claim: Claim, leaseMs: number): Promise<LeaseState>;
  /** The same without renewing it: reads only, so it may be asked often. */
  leaseState(claim: Claim): Promise<LeaseState>;
  /** Ends the run's lease and marks the item again; `notBefore` delays the next reconcile (a retry time), `park` is added to the item's parks in place of one of the same row; `row`: a run of it was carried out, so that it counts as tried no longer. */
  settleRun(
    claim: Claim,
    after: {
      readonly notBefore: number | null;
      readonly park: Park | null;
      readonly row?: Park["row"];
    },
  ): Promise<boolean>;
  /** Frees leases that ran out, and all of `owner` (boot); resolves with how many. A run whose lease ran out is ended as `cancelled`: its worker can say nothing any more. */
  reap(owner: string | null): Promise<number>;
  /** Makes `owner` the one who sweeps for `leaseMs`, or renews that; false: somebody else is, and may be for longer. */
  claimSweep(owner: string, leaseMs: number): Promise<boolean>;
  /** The next moment at which something becomes due, epoch ms, or null. */
  nextDue(): Promise<number | null>;
  items(limit: number, before: string | null): Promise<Page<ItemRow>>;
  item(ref: ItemRef): Promise<ItemRow | null>;
  isKnown(ref: ItemRef): Promise<boolean>;
  snapshot(ref: ItemRef): Promise<Snapshot | null>;
  /** Items with something local: session, clone, run, park, open intent, waiting order. */
  localItems(): Promise<readonly ItemRef[]>;
  waiting(): Promise<{ readonly waiting: number; readonly active: number }>;
  pause(scope: PauseScope, on: boolean): Promise<void>;
  paused(): Promise<readonly PauseScope[]>;
  /** Takes the item's waiting order back, lets no run of it be claimed, and marks it; false for an unknown item. */
  hold(item: ItemRef, hold: Hold): Promise<boolean>;
  held(item: ItemRef): Promise<Hold | null>;
  /** What the first snapshot after a hold showed of people; later calls change nothing. */
  holdKnows(item: ItemRef, known: PeoplesNewest): Promise<void>;
  /** Takes the hold away; nothing else. */
  letGo(item: ItemRef): Promise<void>;
  /** Takes hold, parks and retry times away, counts its limits anew from now on, and marks it; false for an unknown item. */
  goOn(item: ItemRef): Promise<boolean>;
  /** The agent whose run has the item now, from the claim to the exit of its process; null: none. */
  runningAgent(item: ItemRef): Promise<string | null>;
  /** How many items have a run of `owner` now, counted from the claim to the exit of its process. */
  running(owner: string): Promise<number>;
}

/** What a pause covers. */
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

/** A session as it is stored; times are epoch ms. */
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

/** The sessions, by key. */
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
  /** Up to `limit` sessions that were last used before `before` (epoch ms), the oldest first. */
  unused(before: number, limit: number): Promise<readonly SessionRow[]>;
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
  /** The one before it was not used for `limits.transcript_days`, and deleted. */
  | "retention"
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

/** A run as it begins; `startedAt` is epoch ms, `shown` the ids of the texts and acts in its prompt. */
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

/** How a run ended; `endedAt` is epoch ms. */
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

/** A run with its work item, for people. */
export interface RunView extends RunRecord {
  readonly repo: string;
  readonly number: number;
  readonly promptBytes: number;
}

/** The runs, from their start to their end. */
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
  /** What was spent in all, by agent, by repository, and on each of the last `days` UTC days with a run that ended; newest day first. */
  spent(days: number): Promise<{
    readonly all: Spent;
    readonly agents: readonly (Spent & { readonly agent: string })[];
    readonly repositories: readonly (Spent & { readonly repo: string })[];
    readonly days: readonly (Spent & { readonly day: string })[];
  }>;
  end(end: RunEnd): Promise<void>;
  /**
   * What `owner` has left behind, with the process of the CLI if it was recorded (boot: end these
   * first): runs without an end, and those that somebody else has ended when their lease ran out.
   */
  unfinished(
    owner: string,
  ): Promise<readonly { readonly run: RunView; readonly process: ProcessIdentity | null }[]>;
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

/** The record of effects: intents, and what became of them. */
export interface EffectStore {
  /**
   * Writes the intent; an existing record of the key is returned instead and nothing is written,
   * except that a refused one becomes the intent of this run: it is tried anew.
   */
  intend(effect: {
    key: string;
    run: string;
    item: ItemRef;
    tool: string;
    at: number;
    /** Given: throws StoreFailure `lost`, and nothing is written, when its lease does not hold any more. */
    claim?: Claim;
  }): Promise<EffectRecord>;
  finish(
    id: number,
    end: { state: "done" | "refused"; ref: number | null; text: string },
  ): Promise<void>;
  openIntents(item: ItemRef): Promise<readonly EffectRecord[]>;
}

/** A clone as the ledger knows it. */
export interface ItemClone {
  readonly item: ItemRef;
  readonly agent: string;
  /** When the last run in it ended, epoch ms; null: none has. */
  readonly endedAt: number | null;
  /** A run of its item waits for a slot or is alive. */
  readonly isWaitedFor: boolean;
}

/** What decisions and the disk need to know of items. */
export interface LedgerStore {
  /** Everything `decide` needs of one item, read in one transaction. */
  read(item: ItemRef): Promise<Ledger>;
  /** The part of it that budgets are about. */
  spending(item: ItemRef): Promise<Spending>;
  cloneMade(item: ItemRef, agent: string): Promise<void>;
  clonesRemoved(item: ItemRef): Promise<void>;
  cloneRemoved(item: ItemRef, agent: string): Promise<void>;
  /** Every clone there is. */
  clones(): Promise<readonly ItemClone[]>;
  branchTried(item: ItemRef, branch: string): Promise<void>;
  /** A comment we wrote about a park: its text digest, so that only a different text is said. */
  said(item: ItemRef): Promise<string | null>;
  say(item: ItemRef, text: string | null): Promise<void>;
}

/**
 * What every request of a conversation begins with. If it changes, the next request of the
 * conversation has no unchanged beginning that the model's server could know already (measured: a
 * changed list of tools or another model), and is paid for in full once.
 */
export interface Prefix {
  /** Key of the session, and the id of its conversation. */
  readonly key: string;
  readonly session: string;
  readonly agent: string;
  readonly model: string;
  /** Digest of the names of all tools. */
  readonly tools: string;
}

/** With which beginnings conversations would be resumed. */
export interface PrefixTable {
  /** Remembers what a run of the conversation was begun with. */
  put(prefix: Prefix): Promise<void>;
  /** Of every conversation that would be resumed. */
  current(): Promise<readonly Prefix[]>;
}

/** Small values of the service itself, such as the start of the last complete sweep. */
export interface MetaStore {
  get(key: string): Promise<string | null>;
  set(key: string, value: string): Promise<void>;
  remove(key: string): Promise<void>;
  /** Up to `limit` keys that begin with `prefix` and come after the key `after` ("": all), in order. */
  keys(of: {
    readonly prefix: string;
    readonly after: string;
    readonly limit: number;
  }): Promise<readonly string[]>;
}

/** Everything that is kept, in one database. */
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
  readonly gates: GateTable;
  readonly prefixes: PrefixTable;
  /** How long no delivery was recorded, in milliseconds; 0 while one waits to be. */
  quietMs(): number;
  /** Moves what was committed to where it stays, so that a later commit need not; best while nothing waits. */
  checkpoint(): Promise<void>;
  /** Epoch ms by the clock that leases are counted by: the process's own, or the database's where several processes share one. */
  now(): number;
  /** Called after every write that may make work due, with PostgreSQL also after those of other processes. */
  onWake(listener: () => void): void;
  /** Called after every write for which the disk of the database had no room; the write itself fails. */
  onFull(listener: () => void): void;
  close(): Promise<void>;
}
