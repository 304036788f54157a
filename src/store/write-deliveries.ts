import type { DeliveryRecord } from "../ports/store/deliveries.ts";
import type { Mark } from "../ports/store/marks.ts";
import { byCount } from "./by-count.ts";
import type { StoreContext } from "./context.ts";
import { createAddMarks } from "./marks.ts";
import { findTwins, hasBodyTwice, type Originals } from "./originals.ts";
import type { DeliveryTable } from "./tables.ts";
import type { Execute } from "./transact.ts";

/** A delivery that is to be recorded, with what it marks. */
export interface Entry {
  readonly delivery: DeliveryRecord;
  readonly marks: readonly Mark[];
}

/** What became of an entry, see DeliveryStore. */
export type Recorded = "accepted" | "duplicate";

/** What a written batch comes to. */
interface Written {
  /** An answer for each entry, in their order. */
  readonly answers: readonly Recorded[];
  /** Those that count and are no twins: to be remembered once the batch is committed. */
  readonly originals: readonly DeliveryRecord[];
}

/** Writes a batch and its marks inside a transaction; `at` is the time of the marks, epoch ms. */
export type WriteDeliveries = (
  execute: Execute,
  batch: readonly Entry[],
  at: number,
) => Promise<Written>;

/** Makes the function that writes batches; it keeps the texts of its statements. */
export function createWriteDeliveries(
  context: StoreContext,
  originals: Pick<Originals, "read">,
): WriteDeliveries {
  const statusOf = createStatusOf(context);
  const insert = createInsert(context);
  const remove = createRemove(context);
  const addMarks = createAddMarks(context);
  return async (execute, batch, at) => {
    const chosen = firstOfEach(batch);
    const entries = [...chosen.values()];
    const accepted = entries
      .map(({ delivery }) => delivery)
      .filter(({ status }) => status === "accepted");
    // What was accepted before is no original of its neighbours; it matters only where a body comes twice.
    const redelivered = new Set<string>();
    if (hasBodyTwice(accepted)) {
      for (const { id, status } of await statusOf(execute, idsOf(accepted))) {
        if (status === "accepted") redelivered.add(id);
      }
    }
    const originalsOrTwins = accepted.filter(({ id }) => !redelivered.has(id));
    const twins = findTwins(originalsOrTwins, await originals.read(execute, originalsOrTwins));
    const insertAll = async (some: readonly Entry[]): Promise<readonly string[]> => {
      const rows = some.map(({ delivery }) => toRow(delivery, twins.get(delivery.id)));
      return idsOf(await insert(execute, rows));
    };

    // Ids are seldom known: insert first, and look only at those the insert left out.
    const fresh = new Set(await insertAll(entries));
    const leftOut = [...chosen.keys()].filter((id) => !fresh.has(id));
    const stored = await statusOf(execute, leftOut);
    const known = new Map(stored.map(({ id, status }) => [id, status]));
    // A delivery that was ignored and counts now is judged anew: its row is replaced and becomes the newest.
    const anew = new Set(idsOf(accepted.filter(({ id }) => known.get(id) === "ignored")));
    await remove(execute, [...anew]);
    const entriesAnew = entries.filter(({ delivery }) => anew.has(delivery.id));
    for (const id of await insertAll(entriesAnew)) fresh.add(id);

    const written = entries.filter(({ delivery }) => fresh.has(delivery.id));
    const marks = written.flatMap((entry) => entry.marks);
    await addMarks(execute, marks, { urgent: true, at });
    return {
      answers: batch.map((entry) => {
        const { id, status } = entry.delivery;
        const counted =
          known.get(id) === "accepted" || chosen.get(id)?.delivery.status === "accepted";
        // Still of no concern: it is no duplicate of anything handled.
        if (status === "ignored" && !counted) return "accepted";
        return chosen.get(id) === entry && fresh.has(id) && !twins.has(id)
          ? "accepted"
          : "duplicate";
      }),
      originals: accepted.filter(({ id }) => fresh.has(id) && !twins.has(id)),
    };
  };
}

function idsOf(rows: readonly { readonly id: string }[]): readonly string[] {
  return rows.map(({ id }) => id);
}

function createStatusOf({ db }: StoreContext) {
  return byCount<string, Pick<DeliveryRecord, "id" | "status">>({
    compile: (ids) =>
      db.selectFrom("delivery").select(["id", "status"]).where("id", "in", ids).compile(),
    parameters: (ids) => ids,
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

/** The one entry of each id that is written: the first, or the first that counts. */
function firstOfEach(batch: readonly Entry[]): ReadonlyMap<string, Entry> {
  const chosen = new Map<string, Entry>();
  for (const entry of batch) {
    const { id, status } = entry.delivery;
    const earlier = chosen.get(id)?.delivery.status;
    if (earlier === undefined || (earlier === "ignored" && status === "accepted")) {
      // Anew, so that it stands where it came: of two with one body the earlier is the original.
      chosen.delete(id);
      chosen.set(id, entry);
    }
  }
  return chosen;
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
