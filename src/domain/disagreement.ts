import { type ComparedRounds, compareRounds, type TouchedLines } from "./compare-rounds.ts";
import type { Ledger, RunRecord } from "./ledger.ts";
import { agentOf, agentsWith } from "./people.ts";
import type { Policy, PolicyAgent } from "./policy.ts";
import type { LineComment, Pull, Review, Snapshot } from "./snapshot.ts";
import { knewEverything, textId } from "./texts.ts";

const REMARKS_TOLD = 3;
const WORDS_TOLD = 60;

/** What was changed between two heads; a pair that is missing is unknown. Keys by `changeKey`. */
export type Changes = ReadonlyMap<string, readonly TouchedLines[]>;

/** Two reviews in a row in which the same agent requested changes. */
export interface Rounds {
  readonly reviewer: PolicyAgent;
  readonly before: Review;
  readonly now: Review;
}

/** Everything a disagreement is found in. */
export interface Argument {
  readonly snapshot: Snapshot;
  readonly ledger: Ledger;
  readonly policy: Policy;
  readonly changes?: Changes;
}

/** The key of what was changed from one head to another. */
export function changeKey(from: string, to: string): string {
  return `${from}..${to}`;
}

/** For each reviewer agent its two newest verdicts, if both request changes and stand. */
export function roundsOf(pull: Pull, policy: Policy): readonly Rounds[] {
  return agentsWith("review", policy).flatMap((reviewer) => {
    const login = reviewer.login.toLowerCase();
    if (pull.author.login.toLowerCase() === login) return [];
    const [now, before] = pull.reviews
      .filter(({ author, state }) => {
        const isVerdict = state === "APPROVED" || state === "REQUEST_CHANGES";
        return isVerdict && author.login.toLowerCase() === login;
      })
      .toSorted((a, b) => b.id - a.id);
    if (now === undefined || before === undefined) return [];
    const stand = [now, before].every(
      ({ state, dismissed }) => state === "REQUEST_CHANGES" && !dismissed,
    );
    return stand ? [{ reviewer, before, now }] : [];
  });
}

/**
 * Why author and reviewer, both our agents, will not come to an end by themselves, for a person: the
 * reviewer's newest round only has new remarks on code it had seen unchanged before; or the author
 * answered twice without a change and the reviewer still demands one. Null otherwise, and as soon as a
 * person has acted since: then they go on.
 */
export function disagreementOf(argument: Argument): string | null {
  const { snapshot, policy } = argument;
  const { pull } = snapshot;
  const author = pull === null ? undefined : agentOf(pull.author, argument);
  if (pull === null || pull.state !== "open" || author === undefined) return null;
  for (const rounds of roundsOf(pull, policy)) {
    const reason =
      movingTarget(rounds, author, argument) ?? standstill(rounds, { author, pull }, argument);
    if (reason !== null) return reason;
  }
  return null;
}

function movingTarget(rounds: Rounds, author: PolicyAgent, argument: Argument): string | null {
  const { reviewer, now } = rounds;
  const run = argument.ledger.runs.findLast(
    ({ agent, skill, outcome }) =>
      agent === reviewer.name && skill === "review" && outcome === "succeeded",
  );
  if (run === undefined || !knewEverything(run, argument)) return null;
  const { newOnOld } = compared(rounds, argument);
  if (now.comments.length === 0 || newOnOld.length < now.comments.length) return null;
  return `${reviewer.name} asks only for new things in code that it had reviewed before: ${told(newOnOld)}; a comment here lets ${author.name} work on them`;
}

function standstill(
  rounds: Rounds,
  { author, pull }: { author: PolicyAgent; pull: Pull },
  argument: Argument,
): string | null {
  const { reviewer, before, now } = rounds;
  const [second, first] = argument.ledger.runs
    .filter(
      ({ agent, skill, outcome }) =>
        agent === author.name && skill === "address-review" && outcome === "succeeded",
    )
    .toReversed();
  if (first === undefined || second === undefined) return null;
  const answered =
    first.shown.includes(textId.review(before.id)) && second.shown.includes(textId.review(now.id));
  const unchanged = [first, second].every((run) => changedNothing(run, pull));
  if (!answered || !unchanged || !knewEverything(first, argument)) return null;
  const { same } = compared(rounds, argument);
  const about = told(same.length > 0 ? same : now.comments);
  return `${author.name} answered ${reviewer.name} twice without a change, and ${reviewer.name} still demands one${about === "" ? "" : `: ${about}`}; a comment here that says who is right lets them go on`;
}

function changedNothing({ headSha, pushedSha }: RunRecord, pull: Pull): boolean {
  return headSha === pull.headSha && (pushedSha === null || pushedSha === headSha);
}

function compared({ before, now }: Rounds, { changes }: Argument): ComparedRounds {
  const touched =
    before.commitId === now.commitId
      ? []
      : (changes?.get(changeKey(before.commitId, now.commitId)) ?? null);
  return compareRounds(before.comments, now.comments, touched);
}

/** Where the remarks stand and how they begin. Their words are an agent's: nothing in them may act on the forge. */
function told(remarks: readonly LineComment[]): string {
  const places = remarks.slice(0, REMARKS_TOLD).map(({ path, line, body }) => {
    const words = harmless(body).slice(0, WORDS_TOLD).trimEnd();
    return `\`${harmless(path)}:${line}\`${words === "" ? "" : ` (${words})`}`;
  });
  const more = remarks.length > REMARKS_TOLD ? " and more" : "";
  return places.join(", ") + more;
}

const harmless = (text: string): string => text.replaceAll(/[^\p{L}\p{N}.,;/_-]+/gu, " ").trim();
