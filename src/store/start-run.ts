import type { Claim } from "../ports/store/claims.ts";
import type { RunStart } from "../ports/store/runs.ts";
import type { StoreContext } from "./context.ts";
import type { Beginnings } from "./conversations.ts";
import { type ClaimKey, claimKey, isHeld } from "./leases.ts";
import { type Place, places, prepare } from "./prepare.ts";
import { putSessions } from "./sessions.ts";
import type { RunTable } from "./tables.ts";
import { type Execute, firstOf } from "./transact.ts";

/** The columns a run is written with when it starts. */
const STARTED = [
  "id",
  "repo",
  "number",
  "agent",
  "skill",
  "attempt",
  "fingerprint",
  "session_key",
  "session",
  "resumed",
  "started_at",
  "tainted",
  "head_sha",
  "shown_json",
  "prompt_bytes",
  "owner",
] as const;

type StartedRun = Pick<RunTable, (typeof STARTED)[number]>;

/**
 * Makes the function that writes a run and its session inside a transaction; it resolves with the
 * number of the attempt, or with null when the lease of the claim is lost.
 */
export function createStartRun(
  { db, now }: StoreContext,
  beginnings: Beginnings,
): (execute: Execute, claim: Claim, run: RunStart) => Promise<number | null> {
  // No row when the lease of the claim is lost.
  const countIfHeld = prepare(db, (place: Place<ClaimKey & { now: number; fingerprint: string }>) =>
    db
      .selectFrom("item")
      .where(isHeld(place, "run"))
      .select((eb) =>
        eb
          .selectFrom("run")
          .select((run) => run.fn.countAll<number>().as("count"))
          .where("repo", "=", place("repo"))
          .where("number", "=", place("number"))
          .where("fingerprint", "=", place("fingerprint"))
          .as("earlier"),
      ),
  );
  const insert = prepare(db, (place: Place<StartedRun>) =>
    db.insertInto("run").values(places(place, STARTED)),
  );
  const insertSeen = prepare(db, (place: Place<{ run: string; seen: string }>) =>
    db.insertInto("run_seen").values({ run: place("run"), seen_json: place("seen") }),
  );

  return async (execute, claim, run) => {
    const at = now();
    const { repo, number } = claim.item;
    const { fingerprint } = run.order;
    const held = await firstOf(execute(countIfHeld({ ...claimKey(claim), now: at, fingerprint })));
    if (held === undefined) return null;
    // A count is never null, which its type does not know.
    const attempt = (held.earlier ?? 0) + 1;
    const { session, begins } = run;
    await execute(
      insert({
        id: run.id,
        repo,
        number,
        agent: run.order.agent,
        skill: run.order.skill,
        attempt,
        fingerprint,
        session_key: session.key,
        session: session.sessionId,
        resumed: run.resumed ? 1 : 0,
        started_at: run.startedAt,
        tainted: session.tainted ? 1 : 0,
        head_sha: run.order.headSha,
        shown_json: JSON.stringify(run.shown),
        prompt_bytes: run.promptBytes,
        owner: claim.owner,
      }),
    );
    await execute(insertSeen({ run: run.id, seen: JSON.stringify(run.seen) }));
    if (begins !== undefined) await beginnings.endEarlier(execute, session, { ...begins, at });
    await putSessions(execute, [session]);
    if (begins !== undefined) await beginnings.name(execute, session, begins);
    return attempt;
  };
}
