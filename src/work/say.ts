import type { Decision, RunOrder } from "../domain/decision.ts";
import { gateSentence, isLongWait, LONG_WAIT_MS } from "../domain/gate.ts";
import { isOurs, withHiddenLine } from "../domain/hidden-line.ts";
import type { Park } from "../domain/ledger.ts";
import { agentOf } from "../domain/people.ts";
import type { Policy } from "../domain/policy.ts";
import { digestOf } from "../domain/seen.ts";
import type { ItemRef, Snapshot } from "../domain/snapshot.ts";
import { type ForgeActor, ForgeFailure, type ForgeFailureKind } from "../ports/forge.ts";
import type { WorkDependencies } from "./dependencies.ts";

/** Answers of the forge that trying again does not change. */
const FINAL: readonly ForgeFailureKind[] = ["auth", "forbidden", "not_found", "refused"];

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
  await courtesy(deps, item, order.agent, async (actor) => await actor.react(target, "eyes"));
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
  try {
    const made = await writeOnce(deps, {
      item,
      agent,
      number: asked.number,
      text: reason,
      key: fingerprint,
    });
    await courtesy(deps, item, agent, async (actor) => {
      const { number, comment } = asked;
      await actor.react({ repo: item.repo, number, comment }, "confused");
    });
    await deps.store.effects.finish(record.id, { state: "done", ref: made, text: reason });
  } catch (error) {
    if (!(error instanceof ForgeFailure) || !FINAL.includes(error.kind)) throw error;
    // It cannot be said, now or later: that must not hold up the item's other work.
    deps.log.warn("a refusal could not be said", { ...item, agent, reason: error.message });
    await deps.store.effects.finish(record.id, {
      state: "refused",
      ref: null,
      text: error.message,
    });
  }
}

/** Writes a comment, or finds the one that carries the same hidden line; resolves with its id. */
async function writeOnce(
  deps: WorkDependencies,
  comment: { item: ItemRef; agent: string; number: number; text: string; key: string },
): Promise<number> {
  const { item, agent, number, text, key } = comment;
  const actor = deps.forge.actor(agent);
  const written = await deps.forge.reader.comments(item.repo, number);
  const found = written.find((comment) => isOurs(comment, key, actor.login));
  return (found ?? (await actor.comment(item.repo, number, withHiddenLine(text, key)))).id;
}

/** Something nice that is not worth failing for. */
async function courtesy(
  deps: WorkDependencies,
  item: ItemRef,
  agent: string,
  action: (actor: ForgeActor) => Promise<void>,
): Promise<void> {
  try {
    await action(deps.forge.actor(agent));
  } catch (error) {
    if (!(error instanceof ForgeFailure)) throw error;
    deps.log.warn("no reaction could be set", { ...item, agent, reason: error.message });
  }
}

/** Says on the issue what it waits for and how to go on; only when that differs from what was said last. */
export async function sayPark(
  deps: WorkDependencies,
  state: { item: ItemRef; park: Park; snapshot: Snapshot; policy: Policy },
): Promise<void> {
  const { item, park, snapshot, policy } = state;
  if (park.until !== null && park.until - deps.now() < LONG_WAIT_MS) return;
  const speaker = speakerFor(snapshot, policy);
  // A person waits for an end, not for our next attempt.
  const end =
    park.until === null || park.attempt !== undefined
      ? ""
      : ` (until ${new Date(park.until).toISOString().slice(0, 16)}Z)`;
  const text = `Waiting: ${park.reason}${end}.`;
  if (speaker === null || (await deps.store.ledger.said(item)) === text) return;
  const number = snapshot.pull?.number ?? item.number;
  const key = `${item.repo}#${item.number}|park|${park.row}|${digestOf(text)}`;
  try {
    await writeOnce(deps, { item, agent: speaker, number, text, key });
    await deps.store.ledger.say(item, text);
  } catch (error) {
    if (!(error instanceof ForgeFailure)) throw error;
    deps.log.warn("a wait could not be said", { ...item, agent: speaker, reason: error.message });
  }
}

/** Says that an order waits behind a closed gate, if that takes long. */
export async function sayGate(
  deps: WorkDependencies,
  state: { item: ItemRef; order: RunOrder; snapshot: Snapshot; policy: Policy },
): Promise<void> {
  const { order, ...place } = state;
  const gate = deps.gates.holding(order.agent);
  if (gate === null || !isLongWait(gate)) return;
  const { name, since, retryAt } = gate;
  const until = gate.isNamed ? retryAt : null;
  const park: Park = { row: order.skill, name, reason: gateSentence(gate), until, since };
  await sayPark(deps, { ...place, park });
}

/** The agent that has the work: author of the pull request, else the first assigned, else the first configured. */
function speakerFor(snapshot: Snapshot, policy: Policy): string | null {
  const author =
    snapshot.pull === null ? undefined : agentOf(snapshot.pull.author, { snapshot, policy });
  const assigned = snapshot.assignees.map((account) => agentOf(account, { snapshot, policy }));
  const speaker = author ?? assigned.find((agent) => agent !== undefined) ?? policy.agents[0];
  return speaker?.name ?? null;
}
