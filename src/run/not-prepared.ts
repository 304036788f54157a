import type { Backoff } from "../domain/backoff.ts";
import type { Park } from "../domain/ledger.ts";
import { retryPark } from "../domain/retry-park.ts";
import { ForgeFailure } from "../ports/forge.ts";
import { GitFailure } from "../ports/git.ts";
import type { RunClaim } from "../ports/store/claims.ts";
import { isOfFullDisk } from "../ports/store/failure.ts";
import { TranscriptFailure } from "../ports/transcripts.ts";
import type { RunDependencies } from "./dependencies.ts";
import { runFields } from "./frame.ts";
import { DoorFailure } from "./open-doors.ts";

/** It passes by itself. */
const PASSING: Backoff = { firstMs: 10_000, mostMs: 8 * 60_000 };
/** A person has to do something first. */
const LASTING: Backoff = { firstMs: 15 * 60_000, mostMs: 60 * 60_000 };

/** Why a run could not be prepared: its name, a sentence for people, and how patient we are. */
interface Hindrance {
  readonly name: string;
  readonly reason: string;
  readonly backoff: Backoff;
  readonly until: number | null;
}

/**
 * The wait of a run that could not begin, or broke: no failure of the agent, tried again by itself,
 * the later the more often. A full disk closes its gate.
 */
export async function notPrepared(
  deps: RunDependencies,
  claim: RunClaim,
  error: unknown,
): Promise<Park> {
  const { item, order } = claim;
  const hindrance = hindranceOf(error, order.agent);
  const { parks } = await deps.store.ledger.read(item);
  const { skill: row } = order;
  const state = { earlier: parks, now: deps.now(), chance: deps.chance() };
  const park = retryPark({ row, ...hindrance }, state);
  const known = error instanceof Error && "kind" in error;
  const cause = error instanceof DoorFailure ? `: ${error.cause}` : "";
  deps.log[known ? "warn" : "error"]("run could not be carried out", {
    ...runFields(claim),
    reason: known ? `${error.name}: ${error.message}${cause}` : String(error),
    wait: park.name,
    attempt: park.attempt ?? 1,
    ...(park.until === null ? {} : { retry_at: new Date(park.until).toISOString() }),
  });
  if (isDiskFull(error)) await deps.gates.suspect("disk");
  return park;
}

function hindranceOf(error: unknown, agent: string): Hindrance {
  const passing = (what: string, until: number | null = null): Hindrance => ({
    name: "not_prepared",
    reason: `a run could not be prepared: ${what}; it is tried again by itself`,
    backoff: PASSING,
    until,
  });
  const lasting = (name: string, reason: string): Hindrance => ({
    name,
    reason,
    backoff: LASTING,
    until: null,
  });
  const forbidden = lasting(
    "no_access",
    `the forge does not let ${agent} or the service read this repository: mend the token or the account's rights; it is tried again by itself`,
  );
  if (error instanceof ForgeFailure) {
    if (error.kind === "auth" || error.kind === "forbidden") return forbidden;
    return passing("the forge gave no usable answer", error.retryAt);
  }
  if (error instanceof GitFailure) {
    if (error.kind === "no_base") {
      return lasting(
        "no_base",
        `${error.message}: create it, or name another as base in the configuration; it is tried again by itself`,
      );
    }
    if (error.kind === "auth" || error.kind === "not_found") return forbidden;
    return passing(
      error.kind === "disk" ? "the disk could not be written" : "git did not do its part",
    );
  }
  if (error instanceof TranscriptFailure) return passing("the transcripts were out of reach");
  if (error instanceof DoorFailure) return passing("this host has no place for one more");
  return passing("the service met a fault of its own");
}

/** Git, the file system and the database each say it in their own way. */
function isDiskFull(error: unknown): boolean {
  if (error instanceof GitFailure) return error.kind === "disk";
  const causes = [error, error instanceof Error ? error.cause : null];
  return causes.some(
    (one) =>
      one instanceof Error &&
      (isOfFullDisk(one) ||
        ("code" in one && ["ENOSPC", "EDQUOT"].includes(String(one.code))) ||
        /database or disk is full/i.test(one.message)),
  );
}
