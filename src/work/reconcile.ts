import type { Change } from "../domain/change.ts";
import { decide } from "../domain/decide.ts";
import { type Decision, isNotBuilt } from "../domain/decision.ts";
import { isLifted, newestByPeople } from "../domain/hold.ts";
import type { Ledger, Park } from "../domain/ledger.ts";
import { agentOf } from "../domain/people.ts";
import type { Policy } from "../domain/policy.ts";
import { isHeld } from "../domain/rules/limits.ts";
import type { Snapshot } from "../domain/snapshot.ts";
import { ForgeFailure } from "../ports/forge.ts";
import { GitFailure } from "../ports/git.ts";
import type { Claim, ReconcileClaim, ReconcileResult } from "../ports/store/claims.ts";
import { changesBetween } from "./changes-between.ts";
import { cleanUp } from "./clean-up.ts";
import type { WorkDependencies } from "./dependencies.ts";
import { noteAskedText } from "./note-asked-text.ts";
import { acknowledge, sayGate, sayPark, sayRefusal } from "./say.ts";

/** How the reason of an item begins that could not be looked at. */
export const NO_ANSWER = "no answer: ";
const FORGE_RETRY_MS = 15_000;
const NOT_FOUND_RETRY_MS = 60 * 60_000;
const DECISIONS_MAX = 10;

/**
 * Reads one claimed item from the forge, decides, does what needs no agent, and gives the claim
 * back with the decision and its reason stored. Without a whole snapshot nothing is started, ended
 * or deleted: the item is read again later.
 */
export async function reconcile(claim: ReconcileClaim, deps: WorkDependencies): Promise<void> {
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
      reason: `${NO_ANSWER}${error.message}`,
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

async function reconciled(claim: ReconcileClaim, deps: WorkDependencies): Promise<ReconcileResult> {
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
  const changes = await changesBetween(deps, snapshot, policy);
  const askedText = await noteAskedText(deps, snapshot, policy);
  // A refusal or a cleanup changes the state it was decided on, so the question is asked again.
  for (let round = 0; round < DECISIONS_MAX; round += 1) {
    const stored = await deps.store.ledger.read(item);
    const paused = { ...stored.paused, all: stored.paused.all || deps.pausedByFile() };
    const ledger = await withHold(deps, { ...stored, paused }, { snapshot, policy });
    const conflicts = await conflictsOf(snapshot, deps);
    const branchChange = await branchChangeOf(snapshot, deps);
    const now = deps.now();
    const state = { snapshot, ledger, policy, conflicts, changes, branchChange, askedText, now };
    const decision = decide(state);
    if (decision.kind === "run") await nameAdministrators(deps, item.repo);
    tell(decision, claim, deps);
    if (decision.kind === "refuse") await sayRefusal(deps, item, decision);
    else if (decision.kind === "cleanup") await cleanUp(deps, item, snapshot, ledger);
    else return await outcomeOf(deps, { claim, decision, snapshot, ledger, policy });
  }
  throw new Error(`${item.repo}#${item.number}: the same decision ${DECISIONS_MAX} times in a row`);
}

/** Says which of our accounts could change the rules of the repository. A forge that does not say is asked again at the next run. */
async function nameAdministrators(deps: WorkDependencies, repo: string): Promise<void> {
  try {
    await deps.administrators?.(repo);
  } catch (error) {
    if (!(error instanceof ForgeFailure)) throw error;
    deps.log.debug("whether agents are administrators is not known", {
      repo,
      reason: error.message,
    });
  }
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
      const attempt = park.attempt === undefined ? "" : ` (attempt ${park.attempt})`;
      await sayPark(deps, { item: claim.item, park, snapshot, policy });
      return {
        ...common,
        decision: "park",
        reason: `${park.name}: ${park.reason}${attempt}`,
        state: "parked",
        lookAgainAt: park.until,
        order: null,
        parks: [...held.filter(({ row }) => row !== park.row), park],
      };
    }
    case "run": {
      const { order } = decision;
      await acknowledge(deps, claim.item, order);
      await sayGate(deps, { item: claim.item, order, snapshot, policy });
      return {
        ...common,
        decision: `run ${order.skill}`,
        reason: order.reason,
        state: "waiting",
        lookAgainAt: null,
        order,
        // A park of everything would have been decided instead.
        parks: [
          ...held.filter(({ row }): boolean => row !== order.skill && row !== "all"),
          // What kept this order from its work is remembered until it is carried out.
          ...ledger.parks.filter(
            ({ row, attempt }) => row === order.skill && attempt !== undefined,
          ),
        ],
      };
    }
  }
}

/** Remembers what people had done when an operator stopped the item, and ends that when they act. */
async function withHold(
  deps: WorkDependencies,
  ledger: Ledger,
  state: { snapshot: Snapshot; policy: Policy },
): Promise<Ledger> {
  const { hold } = ledger;
  const { snapshot } = state;
  if (hold === null || snapshot.readAt < hold.since) return ledger;
  if (hold.known === null) await deps.store.work.holdKnows(snapshot.item, newestByPeople(state));
  if (!isLifted(hold, state)) return ledger;
  deps.log.info("a person lets a cancelled item go on", { ...snapshot.item });
  await deps.store.work.letGo(snapshot.item);
  return { ...ledger, hold: null };
}

/** What git says about base and head of an open pull request of ours; false while the cache lacks one of them. */
async function conflictsOf(snapshot: Snapshot, deps: WorkDependencies): Promise<boolean> {
  const { pull, item } = snapshot;
  const policy = deps.policy(item.repo);
  if (pull === null || pull.state !== "open" || policy === null) return false;
  if (agentOf(pull.author, { snapshot, policy }) === undefined) return false;
  try {
    return await deps.git.conflicts(item.repo, pull.baseSha, pull.headSha);
  } catch (error) {
    if (!(error instanceof GitFailure)) throw error;
    return false;
  }
}

/** What git says an open pull request changes, where a merge gate may ask for it; null when that cannot be told now. */
async function branchChangeOf(snapshot: Snapshot, deps: WorkDependencies): Promise<Change | null> {
  const { pull, item } = snapshot;
  if (pull === null || pull.state !== "open" || !pull.sameRepo) return null;
  if (deps.policy(item.repo)?.repository.autonomy === "propose") return null;
  try {
    return await deps.git.change(item.repo, pull.baseSha, pull.headSha);
  } catch (error) {
    if (!(error instanceof GitFailure)) throw error;
    // The gate is evaluated again, with what git says, before anything is merged.
    return null;
  }
}

/** Logs every decision; the audit has it only when it is another one than the item's row holds. */
function tell(decision: Decision, { last, item }: ReconcileClaim, deps: WorkDependencies): void {
  const word = decision.kind === "run" ? `run ${decision.order.skill}` : decision.kind;
  const agent = decision.kind === "run" ? decision.order.agent : null;
  const reason = reasonOf(decision);
  deps.metrics.decision(decision.kind);
  const fields = { ...item, decision: word, ...(agent === null ? {} : { agent }), reason };
  deps.log.info("decision", fields);
  const isSame = last.decision.startsWith(word) && last.reason === reason;
  if (!isSame) deps.audit.append("decision", { ...fields, ...causeOf(decision) });
}

/** Who asked for it, by the account's number and name, and the order it made. */
function causeOf(decision: Decision): Readonly<Record<string, unknown>> {
  if (decision.kind !== "run" && decision.kind !== "refuse") return {};
  const { asked, fingerprint } = decision.kind === "run" ? decision.order : decision;
  if (asked === null) return { fingerprint };
  return { fingerprint, asked_by: asked.person.login, asked_by_id: asked.person.id };
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
