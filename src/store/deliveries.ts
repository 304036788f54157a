import {
  type DeliveryRecord,
  type DeliveryStore,
  type Mark,
  StoreFailure,
} from "../ports/store.ts";
import { type Executor, pageCursor, pageLimit, pageOf, type StoreContext } from "./context.ts";
import { addMarks } from "./marks.ts";
import type { DeliveryTable } from "./tables.ts";

/** Deliveries committed together; what comes on top is the next batch. */
const BATCH_MAX = 500;
/** A hook that is registered twice sends its twins at once; a later one is a delivery of its own. */
const TWINS_MS = 5 * 60_000;

type Answer = "accepted" | "duplicate";

interface Waiting {
  readonly delivery: DeliveryRecord;
  readonly marks: readonly Mark[];
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * The record of deliveries with group commit: calls of one turn of the event loop, and those that
 * come while a commit is under way, share one transaction and so one fsync. `settled` resolves when
 * nothing waits any more; `quietMs` is how long nothing was recorded, 0 while something waits.
 */
export function createDeliveries(
  context: StoreContext,
): DeliveryStore & { settled(): Promise<void>; quietMs(): number } {
  const waiting: Waiting[] = [];
  let committing: Promise<void> | null = null;
  let unanswered = 0;
  let lastAt = -Infinity;

  const commitAll = async () => {
    // The turn of the event loop that brought the first call may bring more.
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (waiting.length > 0) await commitBatch(context, waiting.splice(0, BATCH_MAX));
    committing = null;
  };

  return {
    record(delivery, marks) {
      return new Promise<Answer>((resolve, reject) => {
        const answer =
          <T>(give: (value: T) => void) =>
          (value: T) => {
            unanswered -= 1;
            give(value);
          };
        unanswered += 1;
        lastAt = context.now();
        waiting.push({ delivery, marks, resolve: answer(resolve), reject: answer(reject) });
        committing ??= commitAll();
      });
    },
    async list(limit, before) {
      const count = pageLimit(limit);
      const rows = await context.db
        .selectFrom("delivery")
        .selectAll()
        .where("seq", "<", pageCursor(before))
        .orderBy("seq", "desc")
        .limit(count + 1)
        .execute();
      return pageOf(rows, count, { cursor: (row) => row.seq, value: toRecord });
    },
    async forget(before, limit) {
      // By the order in which they came, which needs no index; only a clock set back makes that differ.
      const oldest = context.db
        .selectFrom("delivery")
        .select("seq")
        .orderBy("seq")
        .limit(Math.max(1, Math.trunc(limit)));
      const { numDeletedRows } = await context.db
        .deleteFrom("delivery")
        .where("received_at", "<", before)
        .where("seq", "in", oldest)
        .executeTakeFirstOrThrow();
      return Number(numDeletedRows);
    },
    async settled() {
      await committing;
    },
    quietMs: () => (unanswered === 0 ? Math.max(0, context.now() - lastAt) : 0),
  };
}

async function commitBatch(context: StoreContext, batch: readonly Waiting[]): Promise<void> {
  try {
    const answers = await context.transact((tx) => write(tx, batch, context.now()));
    batch.forEach((entry, index) => {
      entry.resolve(answers[index] ?? "duplicate");
    });
  } catch (error) {
    const isOfAll = error instanceof StoreFailure && error.kind === "conflict";
    if (isOfAll || batch.length === 1) {
      for (const entry of batch) entry.reject(error);
      return;
    }
    // One delivery the database refuses must not take its neighbours with it.
    for (const entry of batch) await commitBatch(context, [entry]);
    return;
  }
  context.wake();
}

async function write(tx: Executor, batch: readonly Waiting[], at: number): Promise<Answer[]> {
  const known = await statusesOf(tx, batch);
  const chosen = firstOfEach(batch, known);
  // What was passed over is not done with: it is judged anew, and its row goes to the newest ones.
  const again = [...chosen.keys()].filter((id) => known.has(id));
  if (again.length > 0) await tx.deleteFrom("delivery").where("id", "in", again).execute();
  const twins = await findTwins(tx, [...chosen.values()]);
  const rows = [...chosen.values()].map(({ delivery }) => toRow(delivery, twins.get(delivery.id)));
  const inserted =
    rows.length === 0
      ? []
      : await tx
          .insertInto("delivery")
          .values(rows)
          .onConflict((conflict) => conflict.column("id").doNothing())
          .returning("id")
          .execute();
  const fresh = new Set(inserted.map((row) => row.id));
  const written = [...chosen.values()].filter(({ delivery }) => fresh.has(delivery.id));
  await addMarks(
    tx,
    written.flatMap((entry) => entry.marks),
    { urgent: true, at },
  );
  return batch.map((entry) => {
    const { id, status } = entry.delivery;
    const counted = known.get(id) === "accepted" || chosen.get(id)?.delivery.status === "accepted";
    // Still of no concern: it is no duplicate of anything handled.
    if (status === "ignored" && !counted) return "accepted";
    return chosen.get(id) === entry && fresh.has(id) && !twins.has(id) ? "accepted" : "duplicate";
  });
}

async function statusesOf(
  tx: Executor,
  batch: readonly Waiting[],
): Promise<ReadonlyMap<string, DeliveryRecord["status"]>> {
  const ids = [...new Set(batch.map(({ delivery }) => delivery.id))];
  const rows = await tx
    .selectFrom("delivery")
    .select(["id", "status"])
    .where("id", "in", ids)
    .execute();
  return new Map(rows.map(({ id, status }) => [id, status]));
}

/** The one call of each id that is written: the first, or the first that counts. */
function firstOfEach(
  batch: readonly Waiting[],
  known: ReadonlyMap<string, DeliveryRecord["status"]>,
): ReadonlyMap<string, Waiting> {
  const chosen = new Map<string, Waiting>();
  for (const entry of batch) {
    const { id, status } = entry.delivery;
    const before = known.get(id);
    if (before === "accepted" || (before === "ignored" && status === "ignored")) continue;
    const earlier = chosen.get(id)?.delivery.status;
    if (earlier === undefined || (earlier === "ignored" && status === "accepted")) {
      chosen.set(id, entry);
    }
  }
  return chosen;
}

/** Of those that count: the id of one with the same event and body, received shortly before. */
async function findTwins(
  tx: Executor,
  entries: readonly Waiting[],
): Promise<ReadonlyMap<string, string>> {
  const counting = entries
    .map(({ delivery }) => delivery)
    .filter(({ status }) => status === "accepted");
  if (counting.length === 0) return new Map();
  const earliest = Math.min(...counting.map(({ receivedAt }) => receivedAt));
  const stored = await tx
    .selectFrom("delivery")
    .select(["id", "event", "received_at as receivedAt", "body_sha256 as bodySha256"])
    .where("body_sha256", "in", [...new Set(counting.map(({ bodySha256 }) => bodySha256))])
    .where("received_at", ">=", earliest - TWINS_MS)
    .where("status", "=", "accepted")
    // Not those that were twins themselves, or a row of them would never end.
    .where("reason", "is", null)
    .orderBy("seq")
    .execute();
  const newest = new Map(stored.map((row) => [bodyKey(row), row]));
  const twins = new Map<string, string>();
  for (const delivery of counting) {
    const before = newest.get(bodyKey(delivery));
    if (before !== undefined && delivery.receivedAt - before.receivedAt <= TWINS_MS) {
      twins.set(delivery.id, before.id);
    } else newest.set(bodyKey(delivery), delivery);
  }
  return twins;
}

function bodyKey({ event, bodySha256 }: Pick<DeliveryRecord, "event" | "bodySha256">): string {
  return `${bodySha256} ${event}`;
}

function toRow(delivery: DeliveryRecord, twin: string | undefined): Omit<DeliveryTable, "seq"> {
  return {
    id: delivery.id,
    event: delivery.event,
    repo: delivery.repo,
    number: delivery.number,
    sender: delivery.sender,
    received_at: delivery.receivedAt,
    status: delivery.status,
    reason: twin === undefined ? delivery.reason : `same body as ${twin}`,
    body_sha256: delivery.bodySha256,
  };
}

function toRecord(row: Omit<DeliveryTable, "seq">): DeliveryRecord {
  return {
    id: row.id,
    event: row.event,
    repo: row.repo,
    number: row.number,
    sender: row.sender,
    receivedAt: row.received_at,
    status: row.status,
    reason: row.reason,
    bodySha256: row.body_sha256,
  };
}
