import { decide } from "../domain/decide.ts";
import { type Decision, isNotBuilt } from "../domain/decision.ts";
import type { Ledger, Park } from "../domain/ledger.ts";
import { agentOf } from "../domain/people.ts";
import type { Policy } from "../domain/policy.ts";
import { isHeld } from "../domain/rules/limits.ts";
import type { Snapshot } from "../domain/snapshot.ts";
import { ForgeFailure } from "../ports/forge.ts";
import { GitFailure } from "../ports/git.ts";
import type { Claim, ReconcileResult } from "../ports/store.ts";
import { cleanUp } from "./clean-up.ts";
import type { WorkDependencies } from "./dependencies.ts";
import { acknowledge, sayPark, sayRefusal } from "./say.ts";

const FORGE_RETRY_MS = 15_000;
const NOT_FOUND_RETRY_MS = 60 * 60_000;
const DECISIONS_MAX = 10;

/**
 * Reads one claimed item from the forge, decides, does what needs no agent, and gives the claim
 * back with the decision and its reason stored. Without a whole snapshot nothing is started, ended
 * or deleted: the item is read again later.
 */
export async function reconcile(claim: Claim, deps: WorkDependencies): Promise<void> {
  let result: ReconcileResult;
  try {
    result = await reconciled(claim, deps);
  } catch (error) {
    if (!(error instanceof ForgeFailure) && !(error instanceof GitFailure)) throw error;
    deps.log.warn("no state: the item is read again later", {
      ...claim.item,
      reason: error.message,
    });
    result = {
      ...(await unchanged(claim, deps)),
      decision: "nothing",
      reason: `no answer: ${error.message}`,
      lookAgainAt: retryAt(error, deps.now()),
    };
  }
  await deps.store.work.settleReconcile(claim, result);
}

function retryAt(error: ForgeFailure | GitFailure, now: number): number {
  if (error instanceof ForgeFailure && error.retryAt !== null) return error.retryAt;
  // What is not there may come back, but nobody waits for it.
  return now + (error.kind === "not_found" ? NOT_FOUND_RETRY_MS : FORGE_RETRY_MS);
}

async function reconciled(claim: Claim, deps: WorkDependencies): Promise<ReconcileResult> {
  const { item } = claim;
  const policy = deps.policy(item.repo);
  if (policy === null) {
    return {
      ...(await unchanged(claim, deps)),
      decision: "nothing",
      reason: "the configuration does not name this repository",
      lookAgainAt: null,
    };
  }
  const snapshot = await deps.readSnapshot(item);
  // A refusal or a cleanup changes the state it was decided on, so the question is asked again.
  for (let round = 0; round < DECISIONS_MAX; round += 1) {
    const ledger = await deps.store.ledger.read(item);
    const conflicts = await conflictsOf(snapshot, deps);
    const decision = decide({ snapshot, ledger, policy, conflicts, now: deps.now() });
    tell(decision, claim, deps);
    if (decision.kind === "refuse") await sayRefusal(deps, item, decision);
    else if (decision.kind === "cleanup") await cleanUp(deps, item, snapshot, ledger);
    else return await outcomeOf(deps, { claim, decision, snapshot, ledger, policy });
  }
  throw new Error(`${item.repo}#${item.number}: the same decision ${DECISIONS_MAX} times in a row`);
}

async function outcomeOf(
  deps: WorkDependencies,
  state: {
    claim: Claim;
    decision: Extract<Decision, { kind: "nothing" | "park" | "run" }>;
    snapshot: Snapshot;
    ledger: Ledger;
    policy: Policy;
  },
): Promise<ReconcileResult> {
  const { claim, decision, snapshot, ledger, policy } = state;
  const held = ledger.parks.filter((park) => isHeld(park, deps.now()));
  const common = { snapshot, pull: snapshot.pull?.number ?? null };
  switch (decision.kind) {
    case "nothing":
      return {
        ...common,
        decision: isNotBuilt(decision.reason) ? `nothing (${decision.reason})` : "nothing",
        reason: decision.reason,
        state: "idle",
        lookAgainAt: decision.lookAgainAt,
        order: null,
        parks: held.filter(({ until }) => until !== null),
      };
    case "park": {
      const { park } = decision;
      await sayPark(deps, { item: claim.item, park, snapshot, policy });
      return {
        ...common,
        decision: "park",
        reason: `${park.name}: ${park.reason}`,
        state: "parked",
        lookAgainAt: park.until,
        order: null,
        parks: [...held.filter(({ row }) => row !== park.row), park],
      };
    }
    case "run": {
      const { order } = decision;
      await acknowledge(deps, claim.item, order);
      return {
        ...common,
        decision: `run ${order.skill}`,
        reason: order.reason,
        state: "waiting",
        lookAgainAt: null,
        order,
        parks: held.filter(({ row }): boolean => row !== order.skill),
      };
    }
  }
}

/** What git says about base and head of an open pull request of ours; false while the cache lacks one of them. */
async function conflictsOf(snapshot: Snapshot, deps: WorkDependencies): Promise<boolean> {
  const { pull, item } = snapshot;
  const policy = deps.policy(item.repo);
  if (pull === null || pull.state !== "open" || policy === null) return false;
  if (agentOf(pull.author, policy) === undefined) return false;
  try {
    return await deps.git.conflicts(item.repo, pull.baseSha, pull.headSha);
  } catch (error) {
    if (!(error instanceof GitFailure)) throw error;
    return false;
  }
}

function tell(decision: Decision, { item }: Claim, deps: WorkDependencies): void {
  const word = decision.kind === "run" ? `run ${decision.order.skill}` : decision.kind;
  const agent = decision.kind === "run" ? decision.order.agent : null;
  deps.metrics.decision(decision.kind);
  deps.log.info("decision", {
    ...item,
    decision: word,
    ...(agent === null ? {} : { agent }),
    reason: reasonOf(decision),
  });
}

function reasonOf(decision: Decision): string {
  switch (decision.kind) {
    case "run":
      return decision.order.reason;
    case "park":
      return `${decision.park.name}: ${decision.park.reason}`;
    case "nothing":
    case "cleanup":
    case "refuse":
      return decision.reason;
  }
}

/** The item as it is stored, for a reconcile that learned nothing. */
async function unchanged(
  { item }: Claim,
  deps: WorkDependencies,
): Promise<Pick<ReconcileResult, "state" | "order" | "snapshot" | "pull" | "parks">> {
  const row = await deps.store.work.item(item);
  const ledger = await deps.store.ledger.read(item);
  const parks: readonly Park[] = ledger.parks;
  return {
    state: row?.state === "parked" ? "parked" : "idle",
    order: null,
    snapshot: await deps.store.work.snapshot(item),
    pull: row?.pull ?? null,
    parks,
  };
}
