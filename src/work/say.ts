import type { Decision, RunOrder } from "../domain/decision.ts";
import type { Park } from "../domain/ledger.ts";
import { agentOf } from "../domain/people.ts";
import type { Policy } from "../domain/policy.ts";
import type { ItemRef, Snapshot } from "../domain/snapshot.ts";
import { ForgeFailure } from "../ports/forge.ts";
import type { WorkDependencies } from "./dependencies.ts";

/** Waits shorter than this are not said on the issue. */
const SAY_FROM_MS = 10 * 60_000;

/** The agent's account puts eyes on what asked for the run: the person sees at once that it was heard. */
export async function acknowledge(
  deps: WorkDependencies,
  item: ItemRef,
  order: RunOrder,
): Promise<void> {
  const { asked } = order;
  const target = {
    repo: item.repo,
    number: asked?.number ?? item.number,
    comment: asked?.comment ?? null,
  };
  try {
    await deps.forge.actor(order.agent).react(target, "eyes");
  } catch (error) {
    // The eyes are a courtesy: without them the work goes on.
    if (!(error instanceof ForgeFailure)) throw error;
    deps.log.warn("no reaction could be set", {
      ...item,
      agent: order.agent,
      reason: error.message,
    });
  }
}

/** A permitted person's request that will not be done: a confused face and one sentence why, once. */
export async function sayRefusal(
  deps: WorkDependencies,
  item: ItemRef,
  refusal: Extract<Decision, { kind: "refuse" }>,
): Promise<void> {
  const { asked, agent, reason, fingerprint } = refusal;
  const record = await deps.store.effects.intend({
    key: fingerprint,
    run: "",
    item,
    tool: "refuse",
    at: deps.now(),
  });
  if (record.state !== "intent") return;
  const actor = deps.forge.actor(agent);
  const line = `<!-- claude-hooks:${fingerprint.replaceAll("--", "-%2D")} -->`;
  await actor.react({ repo: item.repo, number: asked.number, comment: asked.comment }, "confused");
  const written = await deps.forge.reader.comments(item.repo, asked.number);
  const login = actor.login.toLowerCase();
  const found = written.find(
    ({ author, body }) => author.login.toLowerCase() === login && body.includes(line),
  );
  const made = found ?? (await actor.comment(item.repo, asked.number, `${reason}\n\n${line}`));
  await deps.store.effects.finish(record.id, { state: "done", ref: made.id, text: reason });
}

/** Says on the issue what it waits for and how to go on; only when that differs from what was said last. */
export async function sayPark(
  deps: WorkDependencies,
  state: { item: ItemRef; park: Park; snapshot: Snapshot; policy: Policy },
): Promise<void> {
  const { item, park, snapshot, policy } = state;
  if (park.until !== null && park.until - deps.now() < SAY_FROM_MS) return;
  const speaker = speakerFor(snapshot, policy);
  const end =
    park.until === null ? "" : ` (until ${new Date(park.until).toISOString().slice(0, 16)}Z)`;
  const text = `Waiting: ${park.reason}${end}.`;
  if (speaker === null || (await deps.store.ledger.said(item)) === text) return;
  await deps.forge.actor(speaker).comment(item.repo, snapshot.pull?.number ?? item.number, text);
  await deps.store.ledger.say(item, text);
}

/** The agent that has the work: author of the pull request, else the first assigned, else the first configured. */
function speakerFor(snapshot: Snapshot, policy: Policy): string | null {
  const author = snapshot.pull === null ? undefined : agentOf(snapshot.pull.author, policy);
  const assigned = snapshot.assignees.map((account) => agentOf(account, policy));
  const speaker = author ?? assigned.find((agent) => agent !== undefined) ?? policy.agents[0];
  return speaker?.name ?? null;
}
