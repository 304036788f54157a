import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { use } from "../../demo/model/conversation.ts";
import { type LogLine, type RunningService, startService } from "../../demo/scenario/service.ts";
import { createHook } from "../../demo/scenario/widgets.ts";
import { IMPLEMENTING, steps } from "../support/model-steps.ts";
import { sharedCluster, startPostgresCluster } from "../support/postgres-cluster.ts";
import { treeOf } from "../support/process-tree.ts";
import { type ServiceWorld, serviceWorld } from "../support/service-world.ts";

setDefaultTimeout(120_000);

const KILLS = 6;

interface Pair extends AsyncDisposable {
  readonly world: ServiceWorld;
  readonly database: string;
  readonly second: RunningService;
  /** Lines of the second service, of all its lives. */
  readonly lines: readonly LogLine[];
  /** SIGKILL for one of them, and its next life on the same state directory. */
  restart(which: "first" | "second"): Promise<void>;
}

/** Two services, each with its own state directory and hook, on one database. */
async function twoServices(sweepSeconds = 60): Promise<Pair> {
  const database = await (await sharedCluster()).createDatabase();
  const more = `database: ${database}`;
  const world = await serviceWorld({ more, sweepSeconds, repository: { review: "requested" } });
  const lines: LogLine[] = [];
  const dir = join(world.dir, "second");
  await mkdir(dir);
  const options = world.world.serviceOptions;
  const start = async (): Promise<RunningService> => {
    const started = await startService({
      ...options,
      dir,
      onLog: (line) => {
        lines.push(line);
        if (process.env["LOOP_LOG"] === "1") console.error("second", JSON.stringify(line));
      },
    });
    await createHook(world.api, started.webhook, options.webhookSecret);
    return started;
  };
  let second = await start();
  return {
    ...{ world, database, lines },
    get second() {
      return second;
    },
    async restart(which) {
      if (which === "first") {
        await world.kill();
        // Takes the hook of the second away, too: what that one misses comes by a sweep.
        return await world.startAgain();
      }
      endQuietly(second.pid);
      await second.exited;
      second = await start();
    },
    async [Symbol.asyncDispose]() {
      await second.stop();
      await world[Symbol.asyncDispose]();
    },
  };
}

const started = (lines: readonly LogLine[]) =>
  lines.filter(({ msg }) => msg === "starting session");

test("two services share the work: every item is done once, whoever does it", async () => {
  await using pair = await twoServices();
  const { world, second, lines } = pair;
  world.script(steps(...IMPLEMENTING));

  // Each rests once, so that both take part whatever chance says; then they race.
  for (const [index, resting] of [world.stateDir, second.stateDir].entries()) {
    await Bun.write(join(resting, "paused"), "");
    await world.issue();
    const wanted = index + 1;
    await world.until("its run", async () => (await world.pulls()).length >= wanted, 60_000);
    await rm(join(resting, "paused"));
  }
  for (let count = 0; count < 4; count += 1) await world.issue();
  await world.until("six pull requests", async () => (await world.pulls()).length >= 6, 90_000);
  await world.until("an empty queue", async () => {
    const { json } = await world.admin("GET", "/api/v1/status");
    const { queue } = json as { queue: { waiting: number; active: number } };
    return queue.waiting === 0 && queue.active === 0;
  });

  const runs = await world.runs();
  expect(runs.map(({ outcome }) => outcome)).toEqual(Array(6).fill("succeeded"));
  expect(await world.pulls()).toHaveLength(6);
  expect(started(world.lines).length).toBeGreaterThan(0);
  expect(started(lines).length).toBeGreaterThan(0);
  expect(started(world.lines).length + started(lines).length).toBe(6);
  const mirrors = await world.until("both files", async () => {
    const dirs = [world.stateDir, second.stateDir];
    const texts = await Promise.all(
      dirs.map((dir) => readFile(join(dir, "sessions.json"), "utf8")),
    );
    return texts[0] === texts[1] ? texts : null;
  });
  expect(JSON.parse(mirrors[0] ?? "").sessions).toHaveLength(6);
});

test("an item whose worker was killed goes on elsewhere, in the same session", async () => {
  await using pair = await twoServices();
  const { world, lines } = pair;
  world.script(steps(use("Bash", { command: "echo kept > note.md && sleep 271" })));
  // Only the first one works until it is killed: a pause of its file is its own.
  const pauseFile = join(pair.second.stateDir, "paused");
  await Bun.write(pauseFile, "");
  await world.issue();
  const { session, run } = await world.line({ msg: "starting session" });
  const { pid } = await world.line({ msg: "cli started" });
  await world.until("the model was asked", () => world.requests().length > 0);
  await world.until("a transcript that others see", async () => {
    const cluster = await sharedCluster();
    const name = new URL(pair.database).pathname.slice(1);
    return (await cluster.run("select 1 from transcript_line limit 1", name)).length > 0;
  });
  const orphans = await treeOf(Number(pid));
  world.script(steps(...IMPLEMENTING));

  await world.kill();
  await Bun.file(pauseFile).delete();

  const resumed = await world.until(
    "the other resumes",
    () => lines.find(({ msg }) => msg === "resuming session"),
    90_000,
  );
  expect(resumed).toMatchObject({ session });
  await world.until(
    "the other is done",
    () => lines.find(({ msg, outcome }) => msg === "run ended" && outcome === "succeeded"),
    60_000,
  );
  expect(started(lines)).toEqual([]);
  expect(await world.pulls()).toHaveLength(1);
  for (const orphan of orphans) endQuietly(orphan);

  const mark = world.lines.length;
  await world.startAgain();
  expect(await world.line({ msg: "a run was left unfinished" }, mark)).toMatchObject({ run });
  const runs = await world.runs();
  expect(runs).toMatchObject([
    { id: run, outcome: "cancelled", session },
    { outcome: "succeeded", session, resumed: true },
  ]);
});

test("both killed in turn, while they work and more comes, lose nothing and do nothing twice", async () => {
  await using pair = await twoServices(2);
  const { world, lines } = pair;
  world.script(steps(...IMPLEMENTING));
  const begun = () => [...world.lines, ...lines].filter(({ msg }) => msg === "cli started").length;
  let issues = 0;

  for (let kill = 0; kill < KILLS; kill += 1) {
    const before = begun();
    await world.issue();
    await world.issue();
    issues += 2;
    await world.until("an agent at work", () => begun() > before, 30_000);
    await pair.restart(kill % 2 === 0 ? "first" : "second");
  }
  await world.until(
    "a pull request for each",
    async () => (await world.pulls()).length >= issues,
    120_000,
  );
  const name = new URL(pair.database).pathname.slice(1);
  const rows = async (sql: string) => await (await sharedCluster()).run(sql, name);
  await world.until(
    "nothing is under way",
    async () => {
      const open = await rows(
        `select 1 from run where ended_at is null union all select 1 from item
         where lease_until is not null or order_seq is not null or mark > settled`,
      );
      return open.length === 0;
    },
    60_000,
  );

  const heads = (await world.pulls()).map(({ head }) => head.ref);
  expect(heads.toSorted()).toEqual([...new Set(heads)].toSorted());
  expect(heads).toHaveLength(issues);
  // A run killed behind its pull request leaves nothing to do: then no run of its item succeeds.
  const done = await rows(`select number from run where outcome = 'succeeded'`);
  expect(done).toHaveLength(new Set(done.map(({ number }) => number)).size);
  const worked = await rows("select distinct number from run");
  expect(worked).toHaveLength(issues);
  const accepted = [...world.lines, ...lines].filter(
    ({ msg, status }) => msg === "delivery" && status === "accepted",
  );
  const kept = new Set((await rows("select id from delivery")).map(({ id }) => id));
  expect(accepted.filter(({ delivery }) => !kept.has(delivery))).toEqual([]);
  expect(accepted.length).toBeGreaterThan(issues);
  // What a killed run has begun is settled by the next one of its item, or when the item ends.
  const begunOnly = `select effect.tool from effect join run on run.id = effect.run
    where effect.state = 'intent' and run.outcome = 'succeeded'`;
  expect(await rows(begunOnly)).toEqual([]);
}, 300_000);

test("while the database is away deliveries are sent away and no run goes on unwatched; afterwards all goes on", async () => {
  const cluster = await startPostgresCluster({ fsync: true });
  try {
    const database = await cluster.createDatabase();
    await using world = await serviceWorld({
      more: `database: ${database}`,
      repository: { review: "requested" },
    });
    world.script(steps(use("Bash", { command: "sleep 271" })));
    await world.issue();
    const { session } = await world.line({ msg: "starting session" });
    await world.until("the model was asked", () => world.requests().length > 0);

    await cluster.kill();

    const { webhookSecret } = world.world.serviceOptions;
    const refused = await deliver(world.service().webhook, webhookSecret);
    expect(refused.status).toBe(503);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    await world.until(
      "not ready",
      async () => (await world.admin("GET", "/readyz")).status === 503,
    );
    const reason = "the lease could not be renewed";
    await world.until(
      "the run is stopped",
      () => world.matching({ msg: "stopping run", reason })[0],
      40_000,
    );
    world.script(steps(...IMPLEMENTING));
    await cluster.start();

    await world.until("ready", async () => (await world.admin("GET", "/readyz")).status === 200);
    const taken = await deliver(world.service().webhook, webhookSecret);
    expect(taken.status).toBe(202);
    await world.until(
      "the session goes on",
      () => world.matching({ msg: "run ended", outcome: "succeeded", session })[0],
      90_000,
    );
    expect(await world.pulls()).toHaveLength(1);
    expect(world.matching({ msg: "starting session" })).toHaveLength(1);
  } finally {
    await cluster.stop();
  }
});

/** A signed delivery that says that issue 1 was looked at. */
async function deliver(webhook: string, secret: string): Promise<Response> {
  const body = JSON.stringify({
    action: "edited",
    issue: { number: 1 },
    repository: { full_name: "acme/widgets" },
    sender: { id: 1, login: "alice" },
  });
  return await fetch(webhook, {
    method: "POST",
    body,
    headers: {
      "content-type": "application/json",
      "x-forgejo-event-type": "issues",
      "x-forgejo-delivery": crypto.randomUUID(),
      "x-forgejo-signature": new Bun.CryptoHasher("sha256", secret).update(body).digest("hex"),
    },
  });
}

function endQuietly(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}
