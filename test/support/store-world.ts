import { Database } from "bun:sqlite";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { RunOrder } from "../../src/domain/decision.ts";
import type { Seen } from "../../src/domain/seen.ts";
import type { ItemRef, Snapshot } from "../../src/domain/snapshot.ts";
import type { ReconcileClaim, ReconcileResult, RunClaim } from "../../src/ports/store/claims.ts";
import type { DeliveryRecord } from "../../src/ports/store/deliveries.ts";
import type { Mark } from "../../src/ports/store/marks.ts";
import type { RunEnd, RunStart } from "../../src/ports/store/runs.ts";
import type { SessionRow } from "../../src/ports/store/sessions.ts";
import type { Store } from "../../src/ports/store.ts";
import { openPostgresStore } from "../../src/store/open-postgres-store.ts";
import { openStore } from "../../src/store/open-store.ts";
import { sharedCluster } from "./postgres-cluster.ts";

/** The engine that all worlds of this run stand on: the same tests hold for both (see script/run-checks.ts). */
export const ENGINE: "sqlite" | "postgres" =
  process.env["STORE_ENGINE"] === "postgres" ? "postgres" : "sqlite";

/** 2026-10-01T12:00:00Z. */
export const NOON = Date.UTC(2026, 9, 1, 12);

export const REPO = "acme/widgets";

/** A database in a directory of its own, a clock that is set by hand, and what the store warned of. */
export interface StoreWorld extends AsyncDisposable {
  readonly store: Store;
  readonly directory: string;
  /** Of the SQLite file; the address with PostgreSQL. */
  readonly path: string;
  readonly clock: { now: number };
  readonly warnings: { readonly message: string; readonly fields: unknown }[];
  /** One statement past the store, in words that both engines understand. */
  raw(statement: string): Promise<void>;
  /** Closes the store and opens the same database again. */
  reopen(): Promise<Store>;
}

/** `memory`: without a file, for tests that need many worlds; it is empty after `reopen`. */
export async function openStoreWorld(kind: "file" | "memory" = "file"): Promise<StoreWorld> {
  const directory = await mkdtemp(join(tmpdir(), "store-"));
  const path = await placeFor(kind, directory);
  const clock = { now: NOON };
  const warnings: { message: string; fields: unknown }[] = [];
  const told = {
    now: () => clock.now,
    warn: (message: string, fields: unknown) => warnings.push({ message, fields }),
  };
  const open = () =>
    ENGINE === "postgres"
      ? openPostgresStore({ address: path, self: directory, ...told }).then(({ store }) => store)
      : openStore({ path, ...told });
  let store = await open();
  return {
    get store() {
      return store;
    },
    directory,
    path,
    clock,
    warnings,
    raw: async (statement) => await runRaw(path, statement),
    async reopen() {
      await store.close();
      store = await open();
      return store;
    },
    async [Symbol.asyncDispose]() {
      await store.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function placeFor(kind: "file" | "memory", directory: string): Promise<string> {
  if (ENGINE === "postgres") return await (await sharedCluster()).createDatabase();
  return kind === "memory" ? ":memory:" : join(directory, "claude-hooks.db");
}

async function runRaw(path: string, statement: string): Promise<void> {
  if (ENGINE === "postgres") {
    await (await sharedCluster()).run(statement, new URL(path).pathname.slice(1));
    return;
  }
  const other = new Database(path);
  other.run(statement);
  other.close();
}

export function itemRef(number: number, repo = REPO): ItemRef {
  return { repo, number };
}

export function issueMark(number: number, repo = REPO): Mark {
  return { repo, target: { kind: "number", number } };
}

export function aDelivery(id: string, patch: Partial<DeliveryRecord> = {}): DeliveryRecord {
  return {
    id,
    event: "issues",
    repo: REPO,
    number: 42,
    sender: "alice",
    receivedAt: NOON,
    status: "accepted",
    reason: null,
    // A body of its own: two with the same one would be twins.
    bodySha256: new Bun.CryptoHasher("sha256").update(id).digest("hex"),
    ...patch,
  };
}

export function anOrder(patch: Partial<RunOrder> = {}): RunOrder {
  return {
    agent: "boss",
    skill: "implement",
    fingerprint: "boss implement 1",
    reason: "alice assigned boss",
    asked: null,
    headSha: null,
    reviews: [],
    ...patch,
  };
}

export function aResult(patch: Partial<ReconcileResult> = {}): ReconcileResult {
  return {
    decision: "nothing",
    reason: "nothing to do",
    state: "idle",
    lookAgainAt: null,
    order: null,
    snapshot: null,
    pull: null,
    parks: [],
    ...patch,
  };
}

/** Stores all of them; durable when it resolves. */
export async function putSessions(store: Store, rows: readonly SessionRow[]): Promise<void> {
  await Promise.all(rows.map((row) => store.sessions.put(row)));
}

export function aSession(
  agent: string,
  number: number,
  patch: Partial<SessionRow> = {},
): SessionRow {
  return {
    key: `${agent}:${REPO}#${number}`,
    agent,
    repo: REPO,
    number,
    sessionId: `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`,
    createdAt: NOON,
    updatedAt: NOON,
    resumes: 0,
    tainted: false,
    usdTotal: 0,
    ...patch,
  };
}

export function aSeen(patch: Partial<Seen> = {}): Seen {
  return { title: "t", body: "b", pull: null, texts: {}, checks: {}, acts: [], ...patch };
}

export function aStart(id: string, claim: RunClaim, patch: Partial<RunStart> = {}): RunStart {
  return {
    id,
    item: claim.item,
    order: claim.order,
    session: aSession(claim.order.agent, claim.item.number),
    resumed: false,
    startedAt: NOON,
    shown: [],
    seen: aSeen(),
    promptBytes: 100,
    ...patch,
  };
}

export function anEnd(id: string, patch: Partial<RunEnd> = {}): RunEnd {
  return {
    id,
    endedAt: NOON + 1000,
    outcome: "succeeded",
    reason: "pull request 43 is open",
    usd: 0.5,
    tokens: { input: 1, output: 2, cacheRead: 3, cacheWrite: 4 },
    session: null,
    ...patch,
  };
}

export function aSnapshot(number: number): Snapshot {
  return {
    item: itemRef(number),
    kind: "issue",
    title: "Title",
    body: "Body",
    author: { id: 1, login: "alice" },
    state: "open",
    assignees: [{ id: 2, login: "boss" }],
    labels: ["bug"],
    createdAt: NOON,
    updatedAt: NOON,
    comments: [],
    acts: [],
    pull: null,
    writers: [{ id: 1, login: "alice" }],
    readAt: NOON,
  };
}

/** Marks an item the way intake and reconcile do. */
export async function markItem(store: Store, number: number, urgent = true): Promise<void> {
  await store.work.mark([issueMark(number)], urgent);
  await resolveAll(store);
}

/** Moves every mark of a number to the item of that number. */
export async function resolveAll(store: Store): Promise<void> {
  for (const row of await store.work.unresolved(1000)) {
    const { target } = row.mark;
    const items = target.kind === "number" ? [itemRef(target.number, row.mark.repo)] : [];
    await store.work.resolve([{ row, items }]);
  }
}

/** Claims the next item to look at; fails when there is none. */
export async function claimReconcile(store: Store, owner = "me"): Promise<ReconcileClaim> {
  const claim = await store.work.claimReconcile(owner, 30_000);
  if (claim === null) throw new Error("nothing to reconcile");
  return claim;
}

/** Claims the next run; fails when there is none. */
export async function claimRun(store: Store, owner = "me"): Promise<RunClaim> {
  const claim = await store.work.claimRun(owner, 30_000, { runs: 100, runsPerAgent: 100 });
  if (claim === null) throw new Error("nothing to run");
  return claim;
}

/** Makes an order wait on the item of `number`, through a mark and a reconcile. */
export async function orderRun(store: Store, number: number, order = anOrder()): Promise<void> {
  await markItem(store, number);
  const claim = await claimReconcile(store);
  if (claim.item.number !== number) throw new Error(`item ${claim.item.number} was due first`);
  await store.work.settleReconcile(claim, aResult({ decision: "run", state: "waiting", order }));
}
