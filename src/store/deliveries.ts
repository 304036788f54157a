import type { DeliveryRecord, DeliveryStore, Mark } from "../ports/store.ts";
import { type Executor, pageCursor, pageLimit, pageOf, type StoreContext } from "./context.ts";
import { addMarks } from "./marks.ts";
import type { DeliveryTable } from "./tables.ts";

/** Deliveries committed together; what comes on top is the next batch. */
const BATCH_MAX = 500;

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
 * nothing waits any more.
 */
export function createDeliveries(
  context: StoreContext,
): DeliveryStore & { settled(): Promise<void> } {
  const waiting: Waiting[] = [];
  let committing: Promise<void> | null = null;

  const commitAll = async () => {
    // The turn of the event loop that brought the first call may bring more.
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (waiting.length > 0) await commitBatch(context, waiting.splice(0, BATCH_MAX));
    committing = null;
  };

  return {
    record(delivery, marks) {
      return new Promise<Answer>((resolve, reject) => {
        waiting.push({ delivery, marks, resolve, reject });
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
    async settled() {
      await committing;
    },
  };
}

async function commitBatch(context: StoreContext, batch: readonly Waiting[]): Promise<void> {
  try {
    const answers = await context.db.transaction().execute((tx) => write(tx, batch, context.now()));
    batch.forEach((entry, index) => {
      entry.resolve(answers[index] ?? "duplicate");
    });
  } catch (error) {
    const [only, ...others] = batch;
    if (only !== undefined && others.length === 0) return only.reject(error);
    // One delivery the database refuses must not take its neighbours with it.
    for (const entry of batch) await commitBatch(context, [entry]);
    return;
  }
  context.wake();
}

async function write(tx: Executor, batch: readonly Waiting[], at: number): Promise<Answer[]> {
  const inserted = await tx
    .insertInto("delivery")
    .values(batch.map((entry) => toRow(entry.delivery)))
    .onConflict((conflict) => conflict.column("id").doNothing())
    .returning("id")
    .execute();
  const fresh = new Set(inserted.map((row) => row.id));
  // The first call with an id is the one that was written; a second in the same batch is a duplicate.
  const accepted = batch.filter((entry) => fresh.delete(entry.delivery.id));
  await addMarks(
    tx,
    accepted.flatMap((entry) => entry.marks),
    { urgent: true, at },
  );
  const written = new Set(accepted);
  return batch.map((entry) => (written.has(entry) ? "accepted" : "duplicate"));
}

function toRow(delivery: DeliveryRecord): Omit<DeliveryTable, "seq"> {
  return {
    id: delivery.id,
    event: delivery.event,
    repo: delivery.repo,
    number: delivery.number,
    sender: delivery.sender,
    received_at: delivery.receivedAt,
    status: delivery.status,
    reason: delivery.reason,
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
