import type { DeliveryRecord, DeliveryStore } from "../ports/store/deliveries.ts";
import { StoreFailure } from "../ports/store/failure.ts";
import { pageCursor, pageLimit, pageOf, type StoreContext } from "./context.ts";
import { createOriginals } from "./originals.ts";
import type { DeliveryTable } from "./tables.ts";
import { createWriteDeliveries, type Entry, type Recorded } from "./write-deliveries.ts";

/** Deliveries committed together; what comes on top is the next batch. */
const BATCH_MAX = 500;
/** So many turns of the event loop are waited through at most while each brings more. */
const TURNS_MAX = 8;

interface Waiting extends Entry {
  readonly resolve: (answer: Recorded) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * The record of deliveries with group commit: calls of one turn of the event loop, of the next
 * turns as long as each brings more, and those that come while a commit is under way share one
 * transaction and so one sync of the disk. `settled` resolves when nothing waits any more; `quietMs` is how long
 * nothing was recorded, 0 while something waits.
 */
export function createDeliveries(
  context: StoreContext,
): DeliveryStore & { settled(): Promise<void>; quietMs(): number } {
  const originals = createOriginals(context);
  const write = createWriteDeliveries(context, originals);
  const waiting: Waiting[] = [];
  let committing: Promise<void> | null = null;
  let unanswered = 0;
  let lastAt = -Infinity;

  const commitAll = async () => {
    await untilTurnsBringNoMore(waiting);
    while (waiting.length > 0) await commitBatch(waiting.splice(0, BATCH_MAX));
    committing = null;
  };

  const commitBatch = async (batch: readonly Waiting[]): Promise<void> => {
    try {
      const written = await context.transactCompiled(
        (execute) => write(execute, batch, context.now()),
        // Their items are looked at while the disk takes them in: a hint that is lost after all does no harm.
        context.wake,
      );
      originals.remember(written.originals);
      batch.forEach((entry, index) => {
        entry.resolve(written.answers[index] ?? "duplicate");
      });
    } catch (error) {
      const isOfAll = error instanceof StoreFailure && error.kind === "conflict";
      if (isOfAll || batch.length === 1) {
        for (const entry of batch) entry.reject(error);
        return;
      }
      // One delivery the database refuses must not take its neighbours with it.
      for (const entry of batch) await commitBatch([entry]);
      return;
    }
  };

  return {
    record(delivery, marks) {
      return new Promise<Recorded>((resolve, reject) => {
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

/** Resolves when a turn of the event loop has brought nothing more, or after TURNS_MAX of them. */
async function untilTurnsBringNoMore(waiting: readonly Waiting[]): Promise<void> {
  let before = 0;
  for (let turn = 0; turn < TURNS_MAX && waiting.length > before; turn += 1) {
    before = waiting.length;
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
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
