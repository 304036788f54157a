import { isPermitted } from "./people.ts";
import type { Policy } from "./policy.ts";
import type { Snapshot } from "./snapshot.ts";

/** The newest of what permitted people did, by the forge's ids, which only rise; 0: there is none. */
export interface PeoplesNewest {
  readonly comment: number;
  readonly review: number;
  readonly act: number;
}

/** An operator's word that no run of an item may go on or start. */
export interface Hold {
  /** `cancelled`: until a permitted person acts or an operator lets it go on; `parked`: until an operator does. */
  readonly kind: "cancelled" | "parked";
  /** Whose run was cancelled; null for a parked item. */
  readonly agent: string | null;
  readonly since: number;
  /** What people had done when the forge was first read after it; null until then. */
  readonly known: PeoplesNewest | null;
}

/** The newest comment, review and act of people who may give work to agents. */
export function newestByPeople(state: {
  readonly snapshot: Snapshot;
  readonly policy: Policy;
}): PeoplesNewest {
  const { snapshot, policy } = state;
  const newest = <T extends { readonly id: number }>(
    rows: readonly T[],
    who: (row: T) => Snapshot["author"],
  ): number =>
    rows
      .filter((row) => isPermitted(who(row), snapshot, policy))
      .reduce((most, { id }) => Math.max(most, id), 0);
  return {
    comment: newest(snapshot.comments, ({ author }) => author),
    review: newest(snapshot.pull?.reviews ?? [], ({ author }) => author),
    act: newest(snapshot.acts, ({ actor }) => actor),
  };
}

/** Whether a permitted person has acted since the hold: that ends a cancelled one, never a parked one. */
export function isLifted(
  { kind, known }: Hold,
  state: { readonly snapshot: Snapshot; readonly policy: Policy },
): boolean {
  if (kind === "parked" || known === null) return false;
  const now = newestByPeople(state);
  return now.comment > known.comment || now.review > known.review || now.act > known.act;
}

/** What the item waits for, one sentence for people. */
export function holdReason({ kind, agent }: Hold): string {
  return kind === "parked"
    ? "an operator parked this; it goes on when an operator continues it"
    : `an operator cancelled the run of ${agent ?? "an agent"}; a comment here lets it go on`;
}
