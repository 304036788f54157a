import type { PostgresPool, PostgresPoolClient } from "kysely";
import pg from "pg";
import { isOfFullDisk } from "../ports/store/failure.ts";
import { withoutConflict } from "./transact.ts";

/** Connections of one process; one more listens. Writes take turns anyway, see postgres-dialect.ts. */
const CONNECTIONS_MAX = 10;

/** How long a caller waits for a connection before it hears that the database is away. */
const CONNECT_MS_MAX = 4000;

/** Object ids of PostgreSQL's types (pg_type.dat, the same in every version). */
const TYPES = { int8: 20, numeric: 1700 } as const;

/** The settings of every connection to the database of `address`. */
export function connectionConfig(address: string): pg.ClientConfig {
  return {
    connectionString: address,
    connectionTimeoutMillis: CONNECT_MS_MAX,
    // A host that vanishes says nothing; the system's own probes begin after ten seconds of silence.
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    application_name: "claude-hooks",
    types: { getTypeParser },
  };
}

/**
 * A pool for Kysely over `pg`. A statement that gets no answer within `statementMs` fails and takes
 * its connection with it: the answer may still come, and must not be taken for another's. One outside
 * a transaction that the server ended in favour of another is tried again, see `withoutConflict`.
 */
export function openPostgresPool(options: PoolOptions): PostgresPool {
  const pool = new pg.Pool({ ...connectionConfig(options.address), max: CONNECTIONS_MAX });
  pool.on("error", options.onLost);
  return {
    options: {},
    connect: async () => withTimeLimit(await pool.connect(), options),
    end: async () => await pool.end(),
  };
}

/** What a pool is made of. */
interface PoolOptions {
  readonly address: string;
  readonly statementMs: number;
  /** Hears of connections that ended while nobody waited for an answer, e.g. because the server was stopped. */
  readonly onLost: (error: Error) => void;
  /** Hears of a statement for which the server's disk had no room. */
  readonly onFull?: () => void;
  /** A random number from 0 up to 1; without it pauses are of the same length each time. */
  readonly chance?: () => number;
}

/** For the pools of what is done once: whoever uses the connection next fails, and says it. */
export const heardAtNextUse = (): void => undefined;

function withTimeLimit(
  client: pg.PoolClient,
  { statementMs: limitMs, onLost, onFull, chance = () => 0.5 }: PoolOptions,
): PostgresPoolClient {
  let isBroken = false;
  // Between two statements nobody waits for an answer: the end of the connection is heard only here.
  const onError = (error: Error): void => {
    isBroken = true;
    onLost(error);
  };
  client.on("error", onError);
  const answered = async (text: string, values: readonly unknown[]): Promise<pg.QueryResult> => {
    const answer = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      isBroken = true;
      answer.reject(new Error(`the database gave no answer within ${limitMs} ms`));
    }, limitMs);
    try {
      return await Promise.race([client.query(text, values.map(withoutNul)), answer.promise]);
    } catch (error) {
      if (isOfFullDisk(error)) onFull?.();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  };
  const query = (text: unknown, values: readonly unknown[] = []): unknown => {
    if (typeof text !== "string") throw new Error("this driver does not stream");
    const isAlone = client.getTransactionStatus() === "I" && !/^(?:begin|start)\b/u.test(text);
    const once = async (): Promise<pg.QueryResult> => await answered(text, values);
    // Part of a transaction is done again with all of it, by whoever knows it.
    return isAlone ? withoutConflict(once, chance) : once();
  };
  return {
    query: query as PostgresPoolClient["query"],
    release(destroy) {
      client.off("error", onError);
      client.release(destroy === true || isBroken);
    },
  };
}

/** PostgreSQL has no place for the character 0 in a text and would refuse all of it, a forge's delivery included. */
function withoutNul(value: unknown): unknown {
  return typeof value === "string" ? value.replaceAll("\u0000", "\ufffd") : value;
}

/** Counters, times and their sums are numbers here; beyond 2^53 they would be wrong, and are refused. */
function getTypeParser(type: number, format?: "text" | "binary") {
  if (format !== "binary" && (type === TYPES.int8 || type === TYPES.numeric)) return toNumber;
  return pg.types.getTypeParser(type, format);
}

function toNumber(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
    throw new Error(`${text} is too large for a number of this service`);
  }
  return value;
}
