import type { Decision, RunOrder } from "../decision.ts";
import { agentOf, isWriter } from "../people.ts";
import { PROFILES } from "../skill.ts";
import type { Account } from "../snapshot.ts";
import type { Situation } from "./row.ts";

/**
 * An order that holds and is yet not carried out in this repository or on this host: a refusal to the
 * person who asked, said once, else nothing with the reason. Null when nothing forbids it.
 */
export function forbidden(order: RunOrder, situation: Situation): Decision | null {
  const reason = whyForbidden(order, situation);
  if (reason === null) return null;
  const { item } = situation.snapshot;
  const { asked, agent } = order;
  const fingerprint = `${item.repo}#${item.number}|${agent}/refuse/${order.fingerprint}`;
  const said = situation.ledger.effects.some(
    ({ key, state }) => key === fingerprint && state !== "intent",
  );
  if (asked === null || said || agentOf(asked.person, situation) !== undefined) {
    return { kind: "nothing", reason, lookAgainAt: null };
  }
  return { kind: "refuse", asked, agent, reason: `${reason}.`, fingerprint };
}

/** One sentence without its full stop, or null. */
function whyForbidden(order: RunOrder, situation: Situation): string | null {
  const { snapshot, policy } = situation;
  const worksOnHead = order.headSha !== null;
  if (worksOnHead && snapshot.pull?.sameRepo === false) {
    return "the pull request comes from a fork, and agents do not open what strangers wrote";
  }
  if (policy.repository.mayTrigger === "anyone") {
    if (PROFILES[order.skill] === "author" || order.skill === "merge") {
      return "anybody may give work in this repository, so agents only read here: they change and merge nothing";
    }
  }
  if (policy.unsandboxed !== true) return null;
  const outsider = outsiderIn(order, situation);
  if (outsider === null) return null;
  return `agents run without a sandbox on this host, and so take no work in which words of somebody without write access take part (${outsider})`;
}

/** Who without write access has a part in this order, by name; null: nobody. */
function outsiderIn(order: RunOrder, situation: Situation): string | null {
  const { snapshot, ledger, policy } = situation;
  if (policy.repository.mayTrigger === "anyone") return "anybody";
  const accounts: readonly (Account | undefined)[] = [
    snapshot.author,
    order.asked?.person,
    snapshot.pull?.author,
  ];
  const outsider = accounts.find(
    (account) => account !== undefined && !isWriter(account, snapshot),
  );
  if (outsider !== undefined) return outsider.login;
  return ledger.tainted ? "an earlier session has read some" : null;
}
