import { whyGuarded } from "../../domain/change.ts";
import { BRANCH_MOVED } from "../../domain/ledger.ts";
import { closedByWords } from "../../domain/neutral-text.ts";
import type { OutgoingWork, PushAnswer } from "../../ports/git.ts";
import type { EffectContext } from "./context.ts";
import { effectKey } from "./effect-key.ts";
import { settlePush } from "./record-push.ts";

type NotPushed = Exclude<PushAnswer, { kind: "pushed" } | { kind: "up_to_date" }>;

/** `note`: what the agent must know of what it has pushed, or empty. */
export type Pushed =
  | { readonly sha: string; readonly changed: boolean; readonly note: string }
  | { readonly refused: string; readonly nothing: boolean };

/**
 * Takes HEAD of the clone and pushes it to the run's branch, with a lease on the remote sha the run
 * was prepared from; records the intent before and the sha after. A refusal says what the agent can
 * do about it. A branch that moves a second time ends the run with a wait for a person.
 */
export async function pushWork(context: EffectContext): Promise<Pushed> {
  const { item, agent, branch, policy, run, pushed } = context;
  if (context.waits.park !== null) return refused(`${context.waits.park.reason}. End your turn.`);
  const intents: { id: number; note: string }[] = [];
  const answer = await context.git.push({
    item,
    agent: agent.name,
    branch,
    base: policy.repository.base,
    remoteSha: pushed.remote,
    run,
    onto: pushed.onto,
    check: async (work) => {
      const reason = objectionTo(context, work);
      if (reason !== null) return reason;
      const key = effectKey(item, context.order, { tool: "push", detail: work.sha });
      const at = context.now();
      const { id } = await context.effects.intend({ key, run, item, tool: "push", at });
      intents.push({ id, note: noteOn(context, work) });
      return null;
    },
  });
  const [intent] = intents;
  if (answer.kind === "pushed") {
    await context.runs.pushed(run, branch, answer.sha);
    const text = `${branch} stands at ${answer.sha}.`;
    if (intent !== undefined) {
      await context.effects.finish(intent.id, { state: "done", ref: null, text });
    }
    pushed.sha = answer.sha;
    pushed.remote = answer.sha;
    return { sha: answer.sha, changed: true, note: intent?.note ?? "" };
  }
  if (answer.kind === "up_to_date") {
    // An attempt that died may have pushed it: then it is this order's push.
    if (await settlePush(context, answer.sha)) pushed.sha = answer.sha;
    return { sha: answer.sha, changed: false, note: "" };
  }
  const text = whyNot(context, answer);
  if (intent !== undefined) {
    await context.effects.finish(intent.id, { state: "refused", ref: null, text });
  }
  return refused(text, answer.kind === "no_commits");
}

function refused(text: string, nothing = false): Pushed {
  return { refused: text, nothing };
}

function whyNot(context: EffectContext, answer: NotPushed): string {
  const { branch, pushed } = context;
  switch (answer.kind) {
    case "no_commits":
      return "There is no commit to push: commit your change first, then call again.";
    case "dirty":
      return `These files are changed but not committed: ${answer.files.slice(0, 5).join(", ")}. Commit them, then call again.`;
    case "moved": {
      if (pushed.onto !== null) return movedAgain(context, answer.by);
      pushed.onto = answer.sha;
      pushed.remote = answer.sha;
      return `${answer.by} pushed to ${branch} meanwhile. Rebase onto origin/${branch} (${answer.sha}), run the tests, then call again.`;
    }
    case "not_rebased":
      return `Your HEAD does not contain ${answer.sha}, which somebody pushed to ${branch}. Rebase onto origin/${branch}, run the tests, then call again.`;
    case "objected":
      return answer.reason;
    case "refused":
      return `The forge refused the push: ${answer.message}`;
  }
}

/** Two can not write one branch at once: a person says who goes on. */
function movedAgain(context: EffectContext, by: string): string {
  const { branch, waits, order } = context;
  waits.park = {
    row: order.skill,
    name: BRANCH_MOVED,
    reason: `${by} pushes to ${branch} while ${order.agent} works on it; a comment here lets it go on from what is there`,
    until: null,
    since: context.now(),
  };
  return `${by} pushed to ${branch} once more. A person decides now how it goes on. End your turn.`;
}

/** What must not leave the machine, as a sentence the agent can act on; null: nothing. */
function objectionTo(context: EffectContext, work: OutgoingWork): string | null {
  const { item, audit, agent, run } = context;
  if (context.secrets.holds(work.text)) {
    const { repo, number } = item;
    const who = { repo, number, agent: agent.name, run };
    audit.append("secret_refused", { ...who, tool: "push" });
    return "A commit holds a secret of this service, in its patch, its message or its author. It is not pushed: make your commits anew without it.";
  }
  const closed = work.messages.flatMap((message) => closedByWords(message, item.number));
  if (closed.length === 0) return null;
  const what = closed[0] === null ? "another repository's issue" : `issue #${closed[0]}`;
  return `A commit message would close ${what} when it is merged, which is not this work. Reword the commit (for instance with "see" in place of the closing word), then call again.`;
}

function noteOn({ policy }: EffectContext, { change }: OutgoingWork): string {
  const why = whyGuarded(change, [], policy);
  if (why === null || policy.repository.autonomy !== "merge") return "";
  return ` A person has to approve exactly this head before it can be merged, because ${why}.`;
}
