import type { Park } from "./ledger.ts";
import type { Skill } from "./skill.ts";
import type { Account } from "./snapshot.ts";

/** Where a person asked for work: the place that gets the eyes or the refusal. */
export interface AskedAt {
  readonly person: Account;
  /** `issue`: the issue or pull request itself; else the comment with this id. */
  readonly on: "issue" | "comment";
  readonly number: number;
  readonly comment: number | null;
}

/** An order to run an agent; two orders with one fingerprint are the same order. */
export interface RunOrder {
  readonly agent: string;
  readonly skill: Skill;
  readonly fingerprint: string;
  /** Which person or act justified it, one sentence. */
  readonly reason: string;
  readonly asked: AskedAt | null;
  /** The pull request's head the run works on; null before there is one. */
  readonly headSha: string | null;
  /** Ids of reviews a run of address-review answers. */
  readonly reviews: readonly number[];
}

/** What comes next for a work item, in the words of the glossary. `lookAgainAt` is epoch ms. */
export type Decision =
  | { readonly kind: "nothing"; readonly reason: string; readonly lookAgainAt: number | null }
  | { readonly kind: "cleanup"; readonly reason: string }
  | { readonly kind: "park"; readonly park: Park }
  | {
      readonly kind: "refuse";
      readonly asked: AskedAt;
      readonly agent: string;
      readonly reason: string;
      readonly fingerprint: string;
    }
  | { readonly kind: "run"; readonly order: RunOrder };

/** Whether a living run may go on; `no` names what ended it. */
export type GoOn = { readonly ok: true } | { readonly ok: false; readonly reason: string };

const NOT_BUILT = "not built: ";
const PAUSED = "paused";

/** The reason of a row that holds although nobody can work on it yet. */
export function notBuiltReason(skill: Skill): string {
  return `${NOT_BUILT}${skill}`;
}

/** Whether a reason was made by `notBuiltReason`. */
export function isNotBuilt(reason: string): boolean {
  return reason.startsWith(NOT_BUILT);
}

/** The reason of a decision that waits for the end of a pause, of everything or of one agent. */
export function pausedReason(agent: string | null): string {
  return agent === null ? PAUSED : `${agent} is ${PAUSED}`;
}

/** Whether a reason was made by `pausedReason`. */
export function isPaused(reason: string): boolean {
  return reason === PAUSED || reason.endsWith(` is ${PAUSED}`);
}
