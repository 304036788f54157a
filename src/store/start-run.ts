import type { Claim } from "../ports/store/claims.ts";
import type { RunStart } from "../ports/store/runs.ts";
import type { StoreContext } from "./context.ts";
import { createBeginnings } from "./conversations.ts";
import { createHoldsRun } from "./leases.ts";
import { type Place, prepare } from "./prepare.ts";
import { putSessions } from "./sessions.ts";
import type { RunTable } from "./tables.ts";
import { type Execute, firstOf } from "./transact.ts";

/** What a run is written with when it starts. */
type StartColumns = Omit<
  RunTable,
  | ("seq" | "usd" | "tokens_input" | "tokens_output" | "tokens_cache_read" | "tokens_cache_write")
  | ("ended_at" | "outcome" | "reason" | "pushed_sha" | "pid" | "start_ticks" | "boot_id")
  | "orphaned"
>;

/**
 * Makes the function that writes a run and its session inside a transaction; it resolves with the
 * number of the attempt, or with null when the lease of the claim is lost.
 */
export function createStartRun({
  db,
  now,
}: StoreContext): (execute: Execute, claim: Claim, run: RunStart) => Promise<number | null> {
  const holdsRun = createHoldsRun(db);
  const countEarlier = prepare((place: Place<Pick<RunTable, "repo" | "number" | "fingerprint">>) =>
    db
      .selectFrom("run")
      .select((eb) => eb.fn.countAll<number>().as("earlier"))
      .where("repo", "=", place("repo"))
      .where("number", "=", place("number"))
      .where("fingerprint", "=", place("fingerprint")),
  );
  const insert = prepare((place: Place<StartColumns>) =>
    db.insertInto("run").values({
      id: place("id"),
      repo: place("repo"),
      number: place("number"),
      agent: place("agent"),
      skill: place("skill"),
      attempt: place("attempt"),
      fingerprint: place("fingerprint"),
      session_key: place("session_key"),
      session: place("session"),
      resumed: place("resumed"),
      started_at: place("started_at"),
      tainted: place("tainted"),
      head_sha: place("head_sha"),
      shown_json: place("shown_json"),
      prompt_bytes: place("prompt_bytes"),
      owner: place("owner"),
    }),
  );
  const insertSeen = prepare((place: Place<{ run: string; seen: string }>) =>
    db.insertInto("run_seen").values({ run: place("run"), seen_json: place("seen") }),
  );
  const beginnings = createBeginnings(db);

  return async (execute, claim, run) => {
    const at = now();
    if (!(await holdsRun(execute, claim, at))) return null;
    const { repo, number } = claim.item;
    const { fingerprint } = run.order;
    const count = await firstOf(execute(countEarlier({ repo, number, fingerprint })));
    const attempt = (count?.earlier ?? 0) + 1;
    const { session, begins } = run;
    await execute(
      insert({
        ...{ id: run.id, repo, number, attempt, fingerprint, owner: claim.owner },
        agent: run.order.agent,
        skill: run.order.skill,
        session_key: session.key,
        session: session.sessionId,
        resumed: run.resumed ? 1 : 0,
        started_at: run.startedAt,
        tainted: session.tainted ? 1 : 0,
        head_sha: run.order.headSha,
        shown_json: JSON.stringify(run.shown),
        prompt_bytes: run.promptBytes,
      }),
    );
    await execute(insertSeen({ run: run.id, seen: JSON.stringify(run.seen) }));
    if (begins !== undefined) await beginnings.endEarlier(execute, session, { ...begins, at });
    await putSessions(execute, [session]);
    if (begins !== undefined) await beginnings.name(execute, session, begins);
    return attempt;
  };
}
