import type { Ledger, RunRecord } from "./ledger.ts";
import { isPermitted } from "./people.ts";
import type { Policy } from "./policy.ts";
import type { Comment, Snapshot } from "./snapshot.ts";

/** The name of a text in a run's list of what its prompt has shown. */
export const textId = {
  comment: (id: number): string => `comment:${id}`,
  review: (id: number): string => `review:${id}`,
  line: (id: number): string => `line:${id}`,
};

/** A run that needs no repeating: it did its work, asked a question or declined. */
export function isFulfilled(run: RunRecord): boolean {
  return run.outcome === "succeeded" || run.outcome === "asked" || run.outcome === "declined";
}

/** Every text a fulfilled run of this agent was shown: a run consumes what it has read. */
export function consumedBy(agent: string, ledger: Ledger): ReadonlySet<string> {
  const seen = new Set<string>();
  for (const run of ledger.runs) {
    if (run.agent === agent && isFulfilled(run)) for (const id of run.shown) seen.add(id);
  }
  return seen;
}

/** Comments of permitted people that no fulfilled run of this agent has read, oldest first. */
export function unreadComments(
  agent: string,
  state: { snapshot: Snapshot; ledger: Ledger; policy: Policy },
): readonly Comment[] {
  const seen = consumedBy(agent, state.ledger);
  return state.snapshot.comments.filter(
    (comment) =>
      isPermitted(comment.author, state.snapshot, state.policy) &&
      !seen.has(textId.comment(comment.id)),
  );
}
