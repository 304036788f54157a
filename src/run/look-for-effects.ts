import { setTimeout as wait } from "node:timers/promises";
import type { EffectRecord } from "../domain/ledger.ts";
import { type Finding, verify } from "../domain/verify.ts";
import { ForgeFailure } from "../ports/forge.ts";
import { GitFailure } from "../ports/git.ts";
import type { RunDependencies } from "./dependencies.ts";
import type { EffectContext } from "./effects/context.ts";
import { keyPrefix } from "./effects/effect-key.ts";
import { settleIntents } from "./effects/settle-intents.ts";
import type { Frame } from "./frame.ts";

const LOOK_FOR_EFFECT_MS = 30_000;
const LOOK_EVERY_MS = 1000;

/**
 * Looks at the forge; while an effect that would fulfil the order is recorded but not shown yet,
 * again for up to 30 s. A run that has been stopped is looked at once: what it did all the same is
 * found by the next decision, and whoever stopped it waits for its end.
 */
export async function lookForEffects(
  deps: RunDependencies,
  { claim, settings, watch }: Frame,
  context: EffectContext,
): Promise<Finding> {
  const prefix = keyPrefix(claim.item, claim.order);
  const until = deps.now() + LOOK_FOR_EFFECT_MS;
  for (;;) {
    let finding: Finding = { kind: "unknown", reason: "the forge did not answer" };
    let effects: readonly EffectRecord[] = [];
    try {
      // A call may have done its work although its answer was lost.
      await settleIntents(context);
      const ledger = await deps.store.ledger.read(claim.item);
      effects = ledger.effects.filter(({ key }) => key.startsWith(prefix));
      const own = ledger.runs.findLast(
        ({ fingerprint, pushedSha }) =>
          fingerprint === claim.order.fingerprint && pushedSha !== null,
      );
      finding = verify(claim.order, {
        snapshot: await deps.readSnapshot(claim.item),
        policy: settings.policy,
        effects,
        pushedSha: context.pushed.sha ?? own?.pushedSha ?? null,
      });
    } catch (error) {
      if (!(error instanceof ForgeFailure) && !(error instanceof GitFailure)) throw error;
    }
    const isUnderWay = effects.some(
      ({ tool, state }) => tool !== "reply" && tool !== "push" && state !== "refused",
    );
    const worthWaiting = watch.stopped() === null && (finding.kind === "unknown" || isUnderWay);
    if (finding.kind === "fulfilled" || !worthWaiting || deps.now() > until) return finding;
    await wait(LOOK_EVERY_MS);
  }
}
