import { openPostgresStore } from "../../src/store/open-postgres-store.ts";
import { type PostgresCluster, sharedCluster } from "./postgres-cluster.ts";

type Opened = Awaited<ReturnType<typeof openPostgresStore>>;

/** Several processes' stores, as far as PostgreSQL can tell, on one database of its own. */
export interface PostgresWorld extends AsyncDisposable {
  readonly cluster: PostgresCluster;
  readonly address: string;
  readonly database: string;
  readonly warnings: string[];
  open(self: string, now?: () => number): Promise<Opened["store"]>;
  openBoth(self: string): Promise<Opened>;
}

export async function postgresWorld(cluster?: PostgresCluster): Promise<PostgresWorld> {
  const server = cluster ?? (await sharedCluster());
  const address = await server.createDatabase();
  const opened: Opened[] = [];
  const warnings: string[] = [];
  const openBoth = async (self: string, now?: () => number): Promise<Opened> => {
    const one = await openPostgresStore({
      ...{ address, self },
      ...(now === undefined ? {} : { now }),
      warn: (message, fields) => warnings.push(`${message} ${JSON.stringify(fields)}`),
    });
    opened.push(one);
    return one;
  };
  return {
    ...{ cluster: server, address, warnings, openBoth },
    database: new URL(address).pathname.slice(1),
    open: async (self, now) => (await openBoth(self, now)).store,
    async [Symbol.asyncDispose]() {
      for (const { store } of opened) await store.close();
    },
  };
}

/** Waits until the probe gives something else than null, undefined or false. */
export async function until<T>(
  what: string,
  probe: () => T | Promise<T>,
  ms = 15_000,
): Promise<NonNullable<T>> {
  const end = performance.now() + ms;
  for (;;) {
    const found = await probe();
    if (found !== null && found !== undefined && found !== false) return found;
    if (performance.now() > end) throw new Error(`${what}: not within ${ms} ms`);
    await Bun.sleep(20);
  }
}
