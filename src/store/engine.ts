import { type Kysely, PostgresAdapter } from "kysely";

/** The two databases this store speaks to. */
export type Engine = "sqlite" | "postgres";

/** Which database a query of `db` (or of a transaction of it) goes to: for the few fragments that the two write differently. */
export function engineOf<T>(db: Kysely<T>): Engine {
  return db.getExecutor().adapter instanceof PostgresAdapter ? "postgres" : "sqlite";
}
