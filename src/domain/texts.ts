import type { Ledger, RunRecord } from "./ledger.ts";
import { isPermitted } from "./people.ts";
import type { Policy } from "./policy.ts";
import type { Account, Comment, Snapshot } from "./snapshot.ts";

/** The name of a text in a run's list of what its prompt has shown. */
export const textId = {
  comment: (id: number): string => `comment:${id}`,
  review: (id: number): string => `review:${id}`,
  line: (id: number): string => `line:${id}`,
  /** An act is no text, but a prompt that was made after it knows of it. */
  act: (id: number): string => `act:${id}`,
};

/** A run that needs no repeating: it did its work, asked a question or declined. */
export function isFulfilled(run: RunRecord): boolean {
  return run.outcome === "succeeded" || run.outcome === "asked" || run.outcome === "declined";
}

/**
 * Every text a fulfilled run of this agent was shown: a run consumes what it has read. With
 * `workedOn` a question does not count: what it was asked about is still to be done.
 */
export function consumedBy(
  agent: string,
  ledger: Ledger,
  how: "read" | "workedOn" = "read",
): ReadonlySet<string> {
  const seen = new Set<string>();
  for (const run of ledger.runs) {
    if (run.agent !== agent || !isFulfilled(run)) continue;
    if (how === "workedOn" && run.outcome === "asked") continue;
    for (const id of run.shown) seen.add(id);
  }
  return seen;
}

/**
 * Whether the run knew of everything permitted people have done by now. Rounds, failures and runs
 * are counted since a person's last act in this way, because two machines' clocks cannot be compared.
 * That an operator let the item go on counts as an act that every run before it did not know of.
 */
export function knewEverything(
  run: RunRecord,
  { snapshot, policy, ledger }: { snapshot: Snapshot; policy: Policy; ledger: Ledger },
): boolean {
  if (isBeforeContinue(run, ledger)) return false;
  const byPerson = ({ author }: { author: Account }): boolean =>
    isPermitted(author, snapshot, policy);
  const newest = [
    ids(snapshot.comments.filter(byPerson), textId.comment),
    ids((snapshot.pull?.reviews ?? []).filter(byPerson), textId.review),
    ids(
      snapshot.acts.filter(({ actor }) => isPermitted(actor, snapshot, policy)),
      textId.act,
    ),
  ];
  return newest.every((id) => id === null || run.shown.includes(id));
}

function isBeforeContinue(run: RunRecord, { runs, continuedAfter }: Ledger): boolean {
  if (continuedAfter === null) return false;
  const last = runs.findIndex(({ id }) => id === continuedAfter);
  return runs.findIndex(({ id }) => id === run.id) <= last;
}

function ids(rows: readonly { id: number }[], name: (id: number) => string): string | null {
  return rows.length === 0 ? null : name(Math.max(...rows.map(({ id }) => id)));
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
