import type { RunDependencies } from "../dependencies.ts";
import type { Frame } from "../frame.ts";
import { actorWhileHeld, gitWhileHeld } from "../while-held.ts";
import type { EffectContext } from "./context.ts";

/** Binds the effects to this run, its work item and its agent's account. */
export function effectContext(deps: RunDependencies, frame: Frame): EffectContext {
  const { claim, run, agent, settings, snapshot, prepared, ledger, watch, prompt, log } = frame;
  const before = ledger.runs.findLast(
    (other) => other.fingerprint === claim.order.fingerprint && other.pushedSha !== null,
  );
  return {
    item: claim.item,
    order: claim.order,
    run,
    agent,
    policy: settings.policy,
    snapshot,
    workspace: prepared.workspace,
    branch: prepared.branch,
    reader: deps.forge.reader,
    actor: actorWhileHeld(deps.forge.actor(agent.name), watch.holdsLease),
    git: gitWhileHeld(deps.git, watch.holdsLease),
    effects: {
      ...deps.store.effects,
      intend: async (effect) => await deps.store.effects.intend({ ...effect, claim }),
    },
    runs: deps.store.runs,
    pulls: deps.store.pulls,
    look: async () => await deps.readSnapshot(claim.item),
    tainted: ledger.tainted || prompt.tainted,
    now: deps.now,
    log,
    signal: watch.signal,
    pushed: { sha: before?.pushedSha ?? null, remote: prepared.workspace.remoteSha, onto: null },
    waits: { park: null },
    secrets: deps.secrets,
    audit: deps.audit,
    oneMerge: deps.oneMerge,
  };
}
