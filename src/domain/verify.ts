import type { RunOrder } from "./decision.ts";
import type { EffectRecord, Outcome } from "./ledger.ts";
import { agentOf } from "./people.ts";
import type { Policy } from "./policy.ts";
import type { Snapshot } from "./snapshot.ts";
import { lastReviewOf } from "./verdicts.ts";

/** Whether the forge shows what the run was for; `open` names what is missing. */
export type Finding =
  | {
      readonly kind: "fulfilled";
      readonly outcome: Extract<Outcome, "succeeded" | "asked" | "declined">;
    }
  | { readonly kind: "open"; readonly reason: "no_effect" | "not_pushed" }
  /** The forge did not answer: no state, so neither done nor failed. */
  | { readonly kind: "unknown"; readonly reason: string };

/**
 * Done means the forge shows it: compares a snapshot read after the run with what its skill must
 * bring about. `effects` are the records of this run, `pushedSha` the sha it pushed.
 */
export function verify(
  order: RunOrder,
  after: {
    snapshot: Snapshot;
    policy: Policy;
    effects: readonly EffectRecord[];
    pushedSha: string | null;
  },
): Finding {
  const { snapshot, policy, effects, pushedSha } = after;
  const done = (tool: string): boolean =>
    effects.some((effect) => effect.tool === tool && effect.state === "done");
  const { pull } = snapshot;
  switch (order.skill) {
    case "implement":
      if (
        pull !== null &&
        agentOf(pull.author, { snapshot, policy })?.name === order.agent &&
        // Somebody may have pushed since: then the record of the effect tells that it was made.
        (done("open_pull_request") || (pushedSha !== null && pull.headSha === pushedSha))
      ) {
        return fulfilled("succeeded");
      }
      return unlessAsked(pushedSha === null ? "no_effect" : "not_pushed");
    case "address-review":
    case "fix-checks":
    case "update-branch": {
      if (pull !== null && done("hand_in")) return fulfilled("succeeded");
      return unlessAsked("no_effect");
    }
    case "review": {
      const login = policy.agents.find(({ name }) => name === order.agent)?.login ?? order.agent;
      const last = pull === null ? undefined : lastReviewOf({ login }, pull);
      const own = effects.find(({ tool, state }) => tool === "submit_review" && state === "done");
      if (own !== undefined && last?.id === own.ref && last.commitId === order.headSha) {
        return fulfilled("succeeded");
      }
      return unlessAsked("no_effect");
    }
    case "merge":
      if (pull?.merged === true) return fulfilled("succeeded");
      if (done("decline_merge")) return fulfilled("declined");
      return unlessAsked("no_effect");
    case "respond":
      return done("reply") ? fulfilled("succeeded") : unlessAsked("no_effect");
  }

  function unlessAsked(reason: "no_effect" | "not_pushed"): Finding {
    return done("ask_human") ? fulfilled("asked") : { kind: "open", reason };
  }
}

function fulfilled(outcome: Extract<Outcome, "succeeded" | "asked" | "declined">): Finding {
  return { kind: "fulfilled", outcome };
}
