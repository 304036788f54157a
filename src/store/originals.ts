import type { DeliveryRecord } from "../ports/store/deliveries.ts";
import type { StoreContext } from "./context.ts";
import { engineOf } from "./engine.ts";
import type { Execute } from "./transact.ts";

/** A hook that is registered twice sends its twins at once; a later one is a delivery of its own. */
const TWINS_MS = 5 * 60_000;

/**
 * Originals kept in memory, about 25 MB of them (measured). Half of them to all are there: those of five
 * minutes at up to 100 a second; in a storm the newest count, and a twin comes within seconds.
 */
const KEPT_MAX = 65_536;

/** A delivery that counts and is no twin. */
type Original = Pick<DeliveryRecord, "id" | "event" | "receivedAt" | "bodySha256">;

/** What has to be kept of an original besides its event and body, by which it is found. */
type KeptOriginal = Pick<Original, "id" | "receivedAt">;

/** The newest original of each event and body. In memory it is the living map: `remember` changes it. */
export type NewestOriginals = Pick<ReadonlyMap<string, KeptOriginal>, "get">;

/** What is known of the bodies received in the last five minutes. */
export interface Originals {
  /** Reads, inside a transaction, the originals these may be twins of; the answer may hold others, too. */
  read(execute: Execute, deliveries: readonly DeliveryRecord[]): Promise<NewestOriginals>;
  /** Takes note of what has been committed. */
  remember(committed: readonly Original[]): void;
}

/**
 * Makes the originals for the database of `context`. One process has a SQLite database open, so it
 * keeps them in memory, at most `keptMax`, and reads the newest rows once after a start. An index over
 * the bodies of all that is remembered is written at a random place for each delivery and cost half of
 * the time of its statements (measured: 56 us with it, 27 without).
 */
export function createOriginals(
  context: Pick<StoreContext, "db" | "now">,
  keptMax = KEPT_MAX,
): Originals {
  return engineOf(context.db) === "postgres" ? inDatabase(context) : inMemory(context, keptMax);
}

/**
 * Of `deliveries`, in their order: by the id of each twin the id of its original, which has the same
 * event and body and was received shortly before it.
 */
export function findTwins(
  deliveries: readonly DeliveryRecord[],
  stored: NewestOriginals,
): ReadonlyMap<string, string> {
  const ofBatch = new Map<string, KeptOriginal>();
  const twins = new Map<string, string>();
  for (const delivery of deliveries) {
    const key = bodyKey(delivery);
    const before = ofBatch.get(key) ?? stored.get(key);
    // Not of its own: a delivery that comes again finds itself here.
    const isOther = before !== undefined && before.id !== delivery.id;
    if (isOther && delivery.receivedAt - before.receivedAt <= TWINS_MS) {
      twins.set(delivery.id, before.id);
    } else ofBatch.set(key, delivery);
  }
  return twins;
}

/** Whether two of them have the same event and body. */
export function hasBodyTwice(deliveries: readonly DeliveryRecord[]): boolean {
  return new Set(deliveries.map(bodyKey)).size < deliveries.length;
}

function bodyKey({ event, bodySha256 }: Pick<DeliveryRecord, "event" | "bodySha256">): string {
  return `${bodySha256} ${event}`;
}

/**
 * Two generations: of the older one nothing is wanted any more when the first of the younger one is five
 * minutes old. To remove them one by one costs more (a Map's iterator passes what was deleted; measured
 * at 200 a second 27 us each time).
 */
function inMemory({ db, now }: Pick<StoreContext, "db" | "now">, keptMax: number): Originals {
  let older: ReadonlyMap<string, KeptOriginal> = new Map();
  let younger = new Map<string, KeptOriginal>();
  let youngerSince = 0;
  let isRead = false;
  const newest: NewestOriginals = { get: (key) => younger.get(key) ?? older.get(key) };

  const remember = (committed: readonly Original[]): void => {
    for (const original of committed) {
      if (younger.size >= keptMax / 2 || youngerSince < now() - TWINS_MS) {
        older = younger;
        younger = new Map();
        youngerSince = now();
      }
      const { id, receivedAt } = original;
      younger.set(bodyKey(original), { id, receivedAt });
    }
  };
  return {
    async read(execute) {
      if (!isRead) remember(await readNewest(execute, { db, since: now() - TWINS_MS, keptMax }));
      isRead = true;
      return newest;
    },
    remember,
  };
}

/** Rows read at once; the newest of five minutes are mostly fewer. */
const PAGE = 500;

/** The originals received since then, up to `keptMax` rows back, in their order. No index tells them: the newest rows do. */
async function readNewest(
  execute: Execute,
  {
    db,
    since,
    keptMax,
  }: Pick<StoreContext, "db"> & { readonly since: number; readonly keptMax: number },
): Promise<readonly Original[]> {
  const found: Original[] = [];
  let before = Number.MAX_SAFE_INTEGER;
  for (let read = 0; read < keptMax; read += PAGE) {
    const rows = await execute(
      db
        .selectFrom("delivery")
        .select(["seq", "id", "event", "status", "reason"])
        .select(["received_at as receivedAt", "body_sha256 as bodySha256"])
        .where("seq", "<", before)
        .orderBy("seq", "desc")
        .limit(PAGE)
        .compile(),
    );
    // Not those that were twins themselves, or a row of them would never end.
    found.push(...rows.filter(({ status, reason }) => status === "accepted" && reason === null));
    const last = rows.at(-1);
    if (last === undefined || rows.length < PAGE || last.receivedAt < since) break;
    before = last.seq;
  }
  return found.reverse().filter(({ receivedAt }) => receivedAt >= since);
}

function inDatabase({ db }: Pick<StoreContext, "db">): Originals {
  return {
    async read(execute, deliveries) {
      if (deliveries.length === 0) return new Map();
      const since = Math.min(...deliveries.map(({ receivedAt }) => receivedAt)) - TWINS_MS;
      const rows = await execute<Original>(
        db
          .selectFrom("delivery")
          .select(["id", "event", "received_at as receivedAt", "body_sha256 as bodySha256"])
          .where(
            "body_sha256",
            "in",
            deliveries.map(({ bodySha256 }) => bodySha256),
          )
          .where("received_at", ">=", since)
          .where("status", "=", "accepted")
          .where("reason", "is", null)
          .orderBy("seq")
          .compile(),
      );
      return new Map(rows.map((row) => [bodyKey(row), row]));
    },
    // Several processes record into it: what counts is what is in it.
    remember: () => undefined,
  };
}
