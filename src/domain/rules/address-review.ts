import { disagreementOf } from "../disagreement.ts";
import { agentOf, isPermitted, stillHasWork } from "../people.ts";
import type { PolicyAgent } from "../policy.ts";
import type { Review } from "../snapshot.ts";
import { consumedBy, knewEverything, textId } from "../texts.ts";
import { verdicts } from "../verdicts.ts";
import { type Answer, pass, type Situation, waitForPerson } from "./row.ts";

/** Address-review: somebody whose word counts requested changes, and the author has not worked on them yet. */
export function addressReview(situation: Situation): Answer {
  const { snapshot, policy } = situation;
  const { pull } = snapshot;
  if (pull === null || pull.state !== "open") return pass();
  const author = agentOf(pull.author, situation);
  if (author === undefined || !author.skills.includes("address-review")) return pass();
  const demands = openDemands(author, situation);
  const first = demands[0];
  if (first === undefined) return pass();
  if (!stillHasWork(author, snapshot, policy)) {
    return pass(`${author.name} no longer has the issue`);
  }
  const disagreement = disagreementOf(situation);
  if (disagreement !== null) {
    return waitForPerson(
      "address-review",
      { name: "disagreement", reason: disagreement },
      situation,
    );
  }
  if (roundsSincePerson(author, situation) >= policy.limits.reviewRounds) {
    const reason = `${author.name} and the reviewer do not come to an end; a comment here lets them go on`;
    return waitForPerson("address-review", { name: "review_rounds", reason }, situation);
  }
  return {
    kind: "order",
    order: {
      agent: author.name,
      skill: "address-review",
      fingerprint: `${author.name}/address-review/${demands.map(demandId).join("+")}`,
      reason: `${demands.map(({ author: { login } }) => login).join(", ")} requested changes`,
      asked: { person: first.author, on: "issue", number: pull.number, comment: null },
      headSha: pull.headSha,
      reviews: demands.map(({ id }) => id),
    },
  };
}

/** Undismissed REQUEST_CHANGES verdicts of permitted people and reviewer agents that no fulfilled run has read. */
function openDemands(author: PolicyAgent, situation: Situation): readonly Review[] {
  const { snapshot, ledger, policy } = situation;
  if (snapshot.pull === null) return [];
  const seen = consumedBy(author.name, ledger, "workedOn");
  return verdicts(snapshot.pull).filter((review) => {
    if (review.state !== "REQUEST_CHANGES" || seen.has(textId.review(review.id))) return false;
    const agent = agentOf(review.author, situation);
    if (agent !== undefined) return agent.name !== author.name && agent.skills.includes("review");
    return isPermitted(review.author, snapshot, policy);
  });
}

function demandId(review: Review): string {
  const lines = review.comments.map(({ id }) => id).join(",");
  return lines === "" ? `${review.id}` : `${review.id}(${lines})`;
}

function roundsSincePerson(author: PolicyAgent, situation: Situation): number {
  return situation.ledger.runs.filter(
    (run) =>
      run.agent === author.name &&
      run.skill === "address-review" &&
      run.outcome === "succeeded" &&
      knewEverything(run, situation),
  ).length;
}
