import type { TokenUsage } from "../ports/gateway.ts";
import { StoreFailure } from "../ports/store/failure.ts";
import type { RunEnd, RunStart, RunStore } from "../ports/store/runs.ts";
import type { SessionRow } from "../ports/store/sessions.ts";
import type { Executor, StoreContext } from "./context.ts";
import { type Beginnings, createBeginnings, sawContext } from "./conversations.ts";
import { type Place, prepare } from "./prepare.ts";
import { listUnfinished, sumSpent } from "./run-totals.ts";
import { createRunViews } from "./run-views.ts";
import { deleteSession, putSessions } from "./sessions.ts";
import { createStartRun } from "./start-run.ts";
import { executeIn, firstOf } from "./transact.ts";

/** The runs: each is written when it starts and ended exactly once. */
export function createRuns(context: StoreContext): RunStore {
  const { db, transact, now, warn } = context;
  const beginnings = createBeginnings(db);
  const startRun = createStartRun(context, beginnings);
  const notePid = prepare(
    db,
    (place: Place<{ id: string; pid: number; startTicks: string; bootId: string }>) =>
      db
        .updateTable("run")
        .set({ pid: place("pid"), start_ticks: place("startTicks"), boot_id: place("bootId") })
        .where("id", "=", place("id"))
        .returning("id"),
  );
  return {
    ...createRunViews(context),
    async start(claim, run) {
      // Its process is given no word before `spawned` has brought both to the disk.
      return await context.transactQueue((execute) => startRun(execute, claim, run));
    },
    async spawned(run, process) {
      const { pid, startTicks, bootId } = process;
      const row = await firstOf(context.write(notePid({ id: run, pid, startTicks, bootId })));
      if (row === undefined) throw unknownRun(run);
    },
    async pushed(run, branch, sha) {
      await transact((tx) => recordPush(tx, { run, branch, sha, at: now() }));
    },
    async sessionChanged(run, session, told) {
      await transact((tx) => changeSession(tx, run, { session, told, at: now(), beginnings }));
    },
    async metered(run, { usd, tokens }) {
      const meter = db
        .updateTable("run")
        .set({ usd, ...tokenColumns(tokens) })
        .where("id", "=", run)
        .where("ended_at", "is", null);
      await context.write(meter.compile());
    },
    async spent(days) {
      return transact((tx) => sumSpent(tx, days));
    },
    async end(end) {
      await transact((tx) => endRun(tx, end));
    },
    async unfinished(owner) {
      return listUnfinished(db, owner, warn);
    },
  };
}

async function recordPush(
  tx: Executor,
  push: {
    readonly run: string;
    readonly branch: string;
    readonly sha: string;
    readonly at: number;
  },
): Promise<void> {
  const run = await tx
    .updateTable("run")
    .set({ pushed_sha: push.sha })
    .where("id", "=", push.run)
    .returning(["repo", "number"])
    .executeTakeFirst();
  if (run === undefined) throw unknownRun(push.run);
  const { repo, number } = run;
  const { branch, sha } = push;
  await tx
    .insertInto("push")
    .values({ repo, number, branch, sha, run: push.run, pushed_at: push.at })
    .onConflict((conflict) => conflict.columns(["repo", "number", "branch", "sha"]).doNothing())
    .execute();
  // A push brings the branch into being again: its removal has to be tried again.
  await tx
    .insertInto("branch")
    .values({ repo, number, branch, tried: 0 })
    .onConflict((conflict) =>
      conflict.columns(["repo", "number", "branch"]).doUpdateSet({ tried: 0 }),
    )
    .execute();
}

async function changeSession(
  tx: Executor,
  id: string,
  change: {
    session: SessionRow;
    told: Pick<RunStart, "shown" | "seen" | "begins">;
    at: number;
    beginnings: Beginnings;
  },
): Promise<void> {
  const { session, told, at, beginnings } = change;
  const run = await tx
    .updateTable("run")
    .set({
      session_key: session.key,
      session: session.sessionId,
      shown_json: JSON.stringify(told.shown),
    })
    .where("id", "=", id)
    .returning(["seq", "session_key"])
    .executeTakeFirst();
  if (run === undefined) throw unknownRun(id);
  await tx
    .updateTable("run_seen")
    .set({ seen_json: JSON.stringify(told.seen) })
    .where("run", "=", id)
    .execute();
  await markTainted(tx, id, session);
  if (await isOvertaken(tx, run)) return;
  if (told.begins !== undefined) {
    await beginnings.endEarlier(executeIn(tx), session, { ...told.begins, at });
  }
  await putSessions(executeIn(tx), [session]);
  if (told.begins !== undefined) await beginnings.name(executeIn(tx), session, told.begins);
}

async function endRun(tx: Executor, end: RunEnd): Promise<void> {
  const run = await tx
    .updateTable("run")
    .set({
      ended_at: end.endedAt,
      outcome: end.outcome,
      reason: end.reason,
      orphaned: 0,
      ...(end.usd === undefined ? {} : { usd: end.usd }),
      ...(end.tokens === undefined ? {} : tokenColumns(end.tokens)),
    })
    .where("id", "=", end.id)
    // Who was given up for dead and is not knows better than those who gave it up.
    .where((eb) =>
      eb.or([
        eb("ended_at", "is", null),
        eb.and([eb("orphaned", "=", 1), eb("outcome", "=", "cancelled")]),
      ]),
    )
    .returning(["seq", "session_key"])
    .executeTakeFirst();
  if (run === undefined) {
    await tx.updateTable("run").set({ orphaned: 0 }).where("id", "=", end.id).execute();
    return;
  }
  if (end.session !== null) await markTainted(tx, end.id, end.session);
  // The late end of a run that was overtaken leaves the session to the newer run.
  if (await isOvertaken(tx, run)) return;
  if (end.session === null) await deleteSession(tx, run.session_key);
  else await putSessions(executeIn(tx), [end.session]);
  if (end.session !== null && end.contextTokens !== undefined) {
    await sawContext(tx, end.session, end.contextTokens);
  }
}

const tokenColumns = ({ input, output, cacheRead, cacheWrite }: TokenUsage) => ({
  tokens_input: input,
  tokens_output: output,
  tokens_cache_read: cacheRead,
  tokens_cache_write: cacheWrite,
});

/** Once tainted, the work of a run stays so, even when its session is dropped or begun anew. */
async function markTainted(tx: Executor, id: string, session: SessionRow): Promise<void> {
  if (!session.tainted) return;
  await tx.updateTable("run").set({ tainted: 1 }).where("id", "=", id).execute();
}

async function isOvertaken(
  tx: Executor,
  run: { readonly seq: number; readonly session_key: string },
): Promise<boolean> {
  const newer = await tx
    .selectFrom("run")
    .select("seq")
    .where("session_key", "=", run.session_key)
    .where("seq", ">", run.seq)
    .limit(1)
    .executeTakeFirst();
  return newer !== undefined;
}

function unknownRun(run: string): StoreFailure {
  return new StoreFailure(
    "unknown_run",
    `run ${JSON.stringify(run)} was never started: call runs.start first`,
  );
}
