import { setDefaultTimeout } from "bun:test";
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import pg from "pg";

const DEBIAN = "/usr/lib/postgresql";
const START_MS_MAX = 20_000;
/** A first test starts the server; and where one takes too long, the runner kills what it finds, the server first. */
const TEST_MS_MAX = 60_000;
/** Of the login that is asked for a password. */
export const PASSWORD = "right horse";

/** A PostgreSQL server of its own on a free port of loopback, run by an unprivileged user. */
export interface PostgresCluster {
  readonly port: number;
  readonly pid: () => number;
  /** Makes an empty database; resolves with its address. */
  createDatabase(): Promise<string>;
  /** The same with other words of the address. */
  address(parts: { user?: string; password?: string; database?: string; port?: number }): string;
  run(sql: string, database?: string): Promise<readonly Record<string, unknown>[]>;
  /** SIGKILL for the server's first process; its others end by themselves. */
  kill(): Promise<void>;
  start(): Promise<void>;
  /** Ends it and removes its directory. */
  stop(): Promise<void>;
}

/** Starts a cluster. Throws what to install when PostgreSQL is missing: a leg of the gate must not be skipped. */
export async function startPostgresCluster(
  wish: { readonly fsync?: boolean } = {},
): Promise<PostgresCluster> {
  const bin = binaries();
  const dir = mkdtempSync(join(tmpdir(), "ch-pg-"));
  const account = unprivileged();
  if (account !== null) chownSync(dir, account.uid, account.gid);
  const data = join(dir, "data");
  const as =
    account === null
      ? []
      : ["setpriv", `--reuid=${account.uid}`, `--regid=${account.gid}`, "--clear-groups"];
  const made = Bun.spawnSync(
    [
      ...as,
      join(bin, "initdb"),
      "-D",
      data,
      "-U",
      "hooks",
      "-A",
      "trust",
      "-E",
      "UTF8",
      "--no-sync",
      "--locale=C.UTF-8",
    ],
    { cwd: dir, stdout: "pipe", stderr: "pipe" },
  );
  if (made.exitCode !== 0) throw new Error(`initdb failed: ${made.stderr.toString()}`);
  writeFileSync(
    join(data, "pg_hba.conf"),
    "host all locked 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n",
  );
  const port = await freePort();
  const settings = [
    "listen_addresses=127.0.0.1",
    `port=${port}`,
    `unix_socket_directories=${dir}`,
    `fsync=${wish.fsync === true ? "on" : "off"}`,
    "max_connections=200",
    "shared_buffers=32MB",
    "jit=off",
  ];
  let server: Bun.Subprocess | null = null;
  let databases = 0;

  const address: PostgresCluster["address"] = ({
    user = "hooks",
    password,
    database = "postgres",
    ...rest
  }) => {
    const secret = password === undefined ? "" : `:${encodeURIComponent(password)}`;
    return `postgres://${user}${secret}@127.0.0.1:${rest.port ?? port}/${database}`;
  };
  const run: PostgresCluster["run"] = async (sql, database) => {
    const client = new pg.Client({
      connectionString: address(database === undefined ? {} : { database }),
    });
    await client.connect();
    try {
      return (await client.query(sql)).rows;
    } finally {
      await client.end();
    }
  };
  // The kernel ends the server when the tests are killed.
  const spawnServer = (): Bun.Subprocess =>
    Bun.spawn(
      [
        "setpriv",
        "--pdeathsig=QUIT",
        ...as.slice(1),
        join(bin, "postgres"),
        "-D",
        data,
        ...settings.flatMap((one) => ["-c", one]),
      ],
      {
        cwd: dir,
        stdin: "ignore",
        stdout: Bun.file(join(dir, "log")),
        stderr: Bun.file(join(dir, "log")),
      },
    );
  const start = async (): Promise<void> => {
    let started = spawnServer();
    server = started;
    const end = performance.now() + START_MS_MAX;
    for (;;) {
      try {
        await run("select 1");
        return;
      } catch (error) {
        if (performance.now() > end) {
          throw new Error(`PostgreSQL does not start: ${await Bun.file(join(dir, "log")).text()}`, {
            cause: error,
          });
        }
        await Bun.sleep(30);
        if (started.exitCode !== null) {
          // Children of a killed server hold its memory for a moment: then the next one refuses to start.
          started = spawnServer();
          server = started;
        }
      }
    }
  };
  const end = async (signal: "SIGKILL" | "SIGQUIT"): Promise<void> => {
    server?.kill(signal);
    await server?.exited;
  };
  leaveNothing(dir);
  await start();
  await run(`create role locked login password '${PASSWORD}'; create role poor login`);
  return {
    port,
    pid: () => server?.pid ?? 0,
    address,
    run,
    start,
    async createDatabase() {
      databases += 1;
      const database = `db${databases}`;
      await run(`create database ${database}`);
      return address({ database });
    },
    kill: async () => await end("SIGKILL"),
    async stop() {
      await end("SIGQUIT");
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

let shared: Promise<PostgresCluster> | null = null;

/** The one cluster that all tests of a process share; it ends with the process. */
export function sharedCluster(): Promise<PostgresCluster> {
  setDefaultTimeout(TEST_MS_MAX);
  shared ??= startPostgresCluster();
  return shared;
}

function binaries(): string {
  const versions = existsSync(DEBIAN)
    ? readdirSync(DEBIAN)
        .map(Number)
        .filter((one) => one >= 15)
    : [];
  const newest = versions.sort((a, b) => b - a)[0];
  if (newest !== undefined) return join(DEBIAN, `${newest}`, "bin");
  const initdb = Bun.which("initdb");
  if (initdb === null) {
    throw new Error("PostgreSQL 15 or newer is missing: apt-get install postgresql");
  }
  return dirname(initdb);
}

/** The server refuses to run as root. */
function unprivileged(): { readonly uid: number; readonly gid: number } | null {
  if (process.getuid?.() !== 0) return null;
  const id = Bun.spawnSync(["id", "-u", "postgres"]).exitCode === 0 ? "postgres" : "nobody";
  const read = (flag: string): number => Number(Bun.spawnSync(["id", flag, id]).stdout.toString());
  return { uid: read("-u"), gid: read("-g") };
}

async function freePort(): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const server = createServer();
  server.on("error", reject);
  server.listen(0, "127.0.0.1", () => {
    const at = server.address();
    server.close(() =>
      at !== null && typeof at === "object" ? resolve(at.port) : reject(new Error("no port")),
    );
  });
  return await promise;
}

/**
 * Removes the directory when this process is gone, however it went: the test runner calls nobody when
 * it ends, and a server that is only told to end still writes for a while. Started by a shell that
 * ends at once: the runner kills the children of a test that took too long.
 */
function leaveNothing(dir: string): void {
  const script = `start() { cut -d " " -f 22 "/proc/$1/stat" 2>/dev/null; }
began=$(start "$1")
while [ "$(start "$1")" = "$began" ]; do sleep 1; done
tries=0
while [ -e "$0" ] && [ "$tries" -lt 100 ]; do
  [ ! -e "$0/data/postmaster.pid" ] || kill -QUIT "$(head -n 1 "$0/data/postmaster.pid")" 2>/dev/null
  sleep 0.2
  rm -rf "$0" 2>/dev/null
  tries=$((tries + 1))
done`;
  Bun.spawnSync([
    "sh",
    "-c",
    'setsid sh -c "$0" "$1" "$2" </dev/null >/dev/null 2>&1 &',
    script,
    dir,
    `${process.pid}`,
  ]);
}
