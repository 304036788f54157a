import { checksOf } from "../checks.ts";
import { disagreementOf } from "../disagreement.ts";
import { agentOf, agentsWith, isPermitted } from "../people.ts";
import type { PolicyAgent } from "../policy.ts";
import { isReviewWithdrawn } from "../review-request.ts";
import type { Account, Pull } from "../snapshot.ts";
import { lastReviewOf, verdictOf } from "../verdicts.ts";
import { type Answer, pass, type Situation, waitForPerson } from "./row.ts";

/** Who asked for a review, in the words of the fingerprint. */
interface Request {
  readonly id: string;
  readonly person: Account | null;
  readonly words: string;
}

/**
 * Review: a permitted person or this service asked the agent since its last review, or the policy
 * wants every agent's pull request reviewed and this head has no verdict of it yet.
 */
export function review(situation: Situation): Answer {
  const { snapshot, policy } = situation;
  const { pull } = snapshot;
  if (pull === null || pull.state !== "open") return pass();
  const reasons: string[] = [];
  for (const agent of agentsWith("review", policy)) {
    if (agent.login.toLowerCase() === pull.author.login.toLowerCase()) continue;
    if (isReviewWithdrawn(agent.login, snapshot, policy)) {
      reasons.push(`a person withdrew the review request of ${agent.name}`);
      continue;
    }
    const request = requestOf(agent, pull, situation) ?? policyOf(agent, pull, situation);
    if (request === null) continue;
    const hindrance = hindranceOf(request, pull, situation);
    if (hindrance !== null) {
      reasons.push(hindrance);
      continue;
    }
    const disagreement = isAgents(request, situation) ? disagreementOf(situation) : null;
    if (disagreement !== null) {
      return waitForPerson("review", { name: "disagreement", reason: disagreement }, situation);
    }
    return {
      kind: "order",
      order: {
        agent: agent.name,
        skill: "review",
        fingerprint: `${agent.name}/review/${pull.headSha}/${request.id}`,
        reason: request.words,
        asked:
          request.person === null
            ? null
            : { person: request.person, on: "issue", number: pull.number, comment: null },
        headSha: pull.headSha,
        reviews: [],
      },
    };
  }
  return pass(reasons[0] ?? null);
}

/** Nobody but our own agents, or the policy, wants this review. */
function isAgents({ person }: Request, situation: Situation): boolean {
  return person === null || agentOf(person, situation) !== undefined;
}

function hindranceOf(request: Request, pull: Pull, situation: Situation): string | null {
  const { policy } = situation;
  if (pull.draft) return "the pull request is a draft";
  if (!pull.sameRepo) return "the pull request comes from a fork";
  const byPerson = request.person !== null && agentOf(request.person, situation) === undefined;
  const checks = checksOf(pull, policy.repository.checks);
  if (checks.kind === "failed" && !byPerson) return `checks failed: ${checks.contexts.join(", ")}`;
  return null;
}

/** A request newer than the agent's last review, made by a permitted person or one of our accounts. */
function requestOf(agent: PolicyAgent, pull: Pull, situation: Situation): Request | null {
  const { snapshot, policy } = situation;
  const login = agent.login.toLowerCase();
  const acts = snapshot.acts.filter(
    (act) => act.number === pull.number && act.subject?.login.toLowerCase() === login,
  );
  // Nobody is put to work by its own act.
  const act = acts.findLast(
    ({ kind, actor }) => kind === "review_requested" && actor.login.toLowerCase() !== login,
  );
  if (act === undefined) return null;
  const last = lastReviewOf(agent, pull);
  // Times have whole seconds: the row of the request itself tells whether it came after the review.
  const pending = pull.reviews.some(
    (row) =>
      row.state === "REQUEST_REVIEW" &&
      row.author.login.toLowerCase() === login &&
      (last === undefined || row.id > last.id),
  );
  if (last !== undefined && act.at <= last.submittedAt && !pending) return null;
  const byAgent = agentOf(act.actor, situation) !== undefined;
  if (!byAgent && !isPermitted(act.actor, snapshot, policy)) return null;
  return {
    id: `act:${act.id}`,
    person: act.actor,
    words: `${act.actor.login} asked ${agent.name} for a review`,
  };
}

function policyOf(agent: PolicyAgent, pull: Pull, situation: Situation): Request | null {
  const { repository } = situation.policy;
  if (repository.autonomy === "propose" || repository.review === "requested") return null;
  const ofAgent = agentOf(pull.author, situation) !== undefined;
  if (!ofAgent && repository.review !== "all") return null;
  const verdict = verdictOf(agent, pull);
  if (verdict !== undefined && verdict.commitId === pull.headSha) return null;
  return {
    // A head that comes back after another verdict is to be judged again.
    id: verdict === undefined ? "policy" : `policy:${verdict.id}`,
    person: null,
    words: `pull request #${pull.number} has a head without a review`,
  };
}
