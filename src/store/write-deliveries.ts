import type { DeliveryRecord } from "../ports/store/deliveries.ts";
import type { Mark } from "../ports/store/marks.ts";
import { byCount } from "./by-count.ts";
import type { StoreContext } from "./context.ts";
import { createAddMarks } from "./marks.ts";
import type { DeliveryTable } from "./tables.ts";
import type { Execute } from "./transact.ts";

/** A hook that is registered twice sends its twins at once; a later one is a delivery of its own. */
const TWINS_MS = 5 * 60_000;

/** A delivery that is to be recorded, with what it marks. */
export interface Entry {
  readonly delivery: DeliveryRecord;
  readonly marks: readonly Mark[];
}

/** What became of an entry, see DeliveryStore. */
export type Recorded = "accepted" | "duplicate";

/**
 * Writes a batch and its marks inside a transaction; `at` is the time of the marks, epoch ms.
 * Resolves with an answer for each entry, in their order.
 */
export type WriteDeliveries = (
  execute: Execute,
  batch: readonly Entry[],
  at: number,
) => Promise<readonly Recorded[]>;

/** Makes the function that writes batches; it keeps the texts of its statements. */
export function createWriteDeliveries(context: StoreContext): WriteDeliveries {
  const look = createLook(context);
  const insert = createInsert(context);
  const remove = createRemove(context);
  const addMarks = createAddMarks(context);
  return async (execute, batch, at) => {
    const deliveries = batch.map(({ delivery }) => delivery);
    const stored = await look(execute, deliveries);
    const known = new Map(stored.map(({ id, status }) => [id, status]));
    const chosen = firstOfEach(batch, known);
    // What was passed over is not done with: it is judged anew, and its row goes to the newest ones.
    const again = [...chosen.keys()].filter((id) => known.has(id));
    if (again.length > 0) await remove(execute, again);
    const twins = findTwins([...chosen.values()], stored);
    const rows = [...chosen.values()].map(({ delivery }) =>
      toRow(delivery, twins.get(delivery.id)),
    );
    const fresh = new Set((await insert(execute, rows)).map((row) => row.id));
    const written = [...chosen.values()].filter(({ delivery }) => fresh.has(delivery.id));
    const marks = written.flatMap((entry) => entry.marks);
    await addMarks(execute, marks, { urgent: true, at });
    return batch.map((entry) => {
      const { id, status } = entry.delivery;
      const counted =
        known.get(id) === "accepted" || chosen.get(id)?.delivery.status === "accepted";
      // Still of no concern: it is no duplicate of anything handled.
      if (status === "ignored" && !counted) return "accepted";
      return chosen.get(id) === entry && fresh.has(id) && !twins.has(id) ? "accepted" : "duplicate";
    });
  };
}

/** What the database has of the ids and bodies of a batch. */
type Stored = Pick<DeliveryRecord, "id" | "event" | "status" | "receivedAt" | "bodySha256"> & {
  readonly seq: number;
  readonly reason: string | null;
};

/**
 * Those of the same ids, and those with the same bodies that may be their twins; in no order, because
 * `order by` costs SQLite more than the search (measured).
 */
function createLook({ db }: StoreContext) {
  return byCount<DeliveryRecord, Stored>({
    compile: (deliveries) => {
      const ids = deliveries.map(({ id }) => id);
      const bodies = deliveries.map(({ bodySha256 }) => bodySha256);
      return db
        .selectFrom("delivery")
        .select(["seq", "id", "event", "status", "reason"])
        .select(["received_at as receivedAt", "body_sha256 as bodySha256"])
        .where((eb) =>
          eb.or([
            eb("id", "in", ids),
            eb.and([
              eb("body_sha256", "in", bodies),
              eb("received_at", ">=", twinsSince(deliveries)),
              eb("status", "=", "accepted"),
              // Not those that were twins themselves, or a row of them would never end.
              eb("reason", "is", null),
            ]),
          ]),
        )
        .compile();
    },
    parameters: (deliveries) => [
      ...deliveries.map(({ id }) => id),
      ...deliveries.map(({ bodySha256 }) => bodySha256),
      twinsSince(deliveries),
      "accepted",
    ],
  });
}

function createRemove({ db }: StoreContext) {
  return byCount<string, unknown>({
    compile: (ids) => db.deleteFrom("delivery").where("id", "in", ids).compile(),
    parameters: (ids) => ids,
  });
}

function createInsert({ db }: StoreContext) {
  return byCount<NewRow, { readonly id: string }>({
    compile: (rows) =>
      db
        .insertInto("delivery")
        .values(rows)
        .onConflict((conflict) => conflict.column("id").doNothing())
        .returning("id")
        .compile(),
    parameters: (rows) => rows.flatMap((row) => Object.values(row)),
  });
}

function twinsSince(deliveries: readonly DeliveryRecord[]): number {
  return Math.min(...deliveries.map(({ receivedAt }) => receivedAt)) - TWINS_MS;
}

/** The one entry of each id that is written: the first, or the first that counts. */
function firstOfEach(
  batch: readonly Entry[],
  known: ReadonlyMap<string, DeliveryRecord["status"]>,
): ReadonlyMap<string, Entry> {
  const chosen = new Map<string, Entry>();
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
function findTwins(
  entries: readonly Entry[],
  stored: readonly Stored[],
): ReadonlyMap<string, string> {
  const newest = new Map<string, Pick<Stored, "id" | "receivedAt">>();
  for (const row of stored.toSorted((one, other) => one.seq - other.seq)) {
    if (row.status === "accepted" && row.reason === null) newest.set(bodyKey(row), row);
  }
  const twins = new Map<string, string>();
  for (const { delivery } of entries) {
    if (delivery.status !== "accepted") continue;
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

type NewRow = Omit<DeliveryTable, "seq">;

/** Always with the same columns in the same order: so stand the parameters of the insert. */
function toRow(delivery: DeliveryRecord, twin: string | undefined): NewRow {
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
