import type { RunOrder } from "../domain/decision.ts";
import type { Ledger, RunRecord } from "../domain/ledger.ts";
import { agentOf, isInsider } from "../domain/people.ts";
import type { Seen } from "../domain/seen.ts";
import type { Account, Snapshot } from "../domain/snapshot.ts";
import { textId } from "../domain/texts.ts";
import type { CommitLine } from "../ports/git.ts";
import { type DeltaPart, deltaOf, type Reader } from "../sessions/delta.ts";
import { isResumed, type Plan } from "../sessions/plan.ts";
import type { RepositorySettings, RunDependencies } from "./dependencies.ts";
import { composePrompt, type PromptInput } from "./prompt.ts";
import { promptFile } from "./prompt-files.ts";
import type { PreparedWorkspace } from "./workspace.ts";

const GUIDE_BYTES_MAX = 20_000;
const SKILL_BYTES_MAX = 32_768;
const DIFF_BYTES_MAX = 40_000;
const COMMITS_MAX = 50;
/** The repository's own guide, the first that its base branch has. */
const GUIDES = ["AGENTS.md", "CLAUDE.md"];

/** A composed prompt, and what the session will have seen with it. */
export interface RunPrompt {
  readonly text: string;
  /** Ids of every text and act the session will have been shown with this prompt. */
  readonly shown: readonly string[];
  readonly seen: Seen;
  /** The prompt shows text of somebody without write access. */
  readonly tainted: boolean;
}

interface PromptFrame {
  readonly order: RunOrder;
  readonly run: string;
  readonly plan: Plan;
  readonly snapshot: Snapshot;
  readonly ledger: Ledger;
  readonly settings: RepositorySettings;
  readonly prepared: Pick<PreparedWorkspace, "text" | "setupFailure">;
}

/** Gathers what a run is told: skill, what is new to its session, guide and diff. Throws GitFailure. */
export async function composeForRun(deps: RunDependencies, frame: PromptFrame): Promise<RunPrompt> {
  const { order, plan, snapshot, settings, prepared } = frame;
  const last = isResumed(plan) ? lastOf(plan) : null;
  const before = last === null ? null : await deps.store.runs.seen(last.id);
  const { parts, seen } = deltaOf(before, snapshot, readerOf(frame));
  const resumed = isResumed(plan);
  // What the conversation already holds is not said again: it only goes on.
  const isSameOrder = last !== null && last.fingerprint === order.fingerprint;
  const goesOn = plan.kind === "continue" && isSameOrder;
  const text = composePrompt({
    order,
    run: frame.run,
    resumed,
    skillText: goesOn ? null : await promptText(deps, settings, promptFile(order.skill, resumed)),
    snapshot,
    parts,
    commits: await commitsOf(deps, snapshot, parts),
    guide: resumed ? null : await guideOf(deps, frame),
    diff: await diffOf(deps, frame),
    handOver: plan.kind === "start" ? plan.handOver : null,
    finding: findingFor(frame, goesOn),
    workspace: prepared.text,
    setupFailure: prepared.setupFailure,
    fence: deps.newFence(),
  });
  return {
    text,
    shown: [...Object.keys(seen.texts), ...seen.acts.map(textId.act)],
    seen,
    tainted: parts.some((part) => isOutsiders(part, frame)),
  };
}

/** Whose session it is and whose words it may be shown. */
export function readerOf(
  frame: Pick<PromptFrame, "order" | "snapshot" | "ledger" | "settings">,
): Reader {
  const { order, ledger, settings } = frame;
  const agent = settings.policy.agents.find(({ name }) => name === order.agent);
  return {
    self: agent?.login ?? order.agent,
    isTrusted: (author) => isTrusted(author, frame),
    ownShas: new Set(ledger.pushed),
  };
}

/** Only what an issue or pull request says itself is shown whoever wrote it. */
function isOutsiders(part: DeltaPart, frame: PromptFrame): boolean {
  const { author, pull } = frame.snapshot;
  if (part.kind === "issue") return !isTrusted(part.by, frame);
  if (part.kind === "pull") return !isTrusted(part.pull.author, frame);
  if (part.kind !== "edited") return false;
  const by = part.of === "pull" ? (pull?.author ?? author) : author;
  return !isTrusted(by, frame);
}

function isTrusted(
  author: Account,
  { snapshot, settings }: Pick<PromptFrame, "snapshot" | "settings">,
): boolean {
  const { policy } = settings;
  return agentOf(author, { snapshot, policy }) !== undefined || isInsider(author, snapshot, policy);
}

/** The repository's own prompt file on its base branch wins over the installation's. Throws GitFailure. */
export async function promptText(
  deps: RunDependencies,
  settings: RepositorySettings,
  file: string,
): Promise<string> {
  const { repo, base } = settings.policy.repository;
  const own = await deps.git.readBase(repo, base, `.claude-hooks/skills/${file}`, SKILL_BYTES_MAX);
  const text = own?.trim() ?? "";
  return text === "" ? (deps.prompts().texts.get(file) ?? "") : text;
}

async function guideOf(
  deps: RunDependencies,
  { settings }: Pick<PromptFrame, "settings">,
): Promise<string | null> {
  const { repo, base } = settings.policy.repository;
  for (const path of GUIDES) {
    const text = await deps.git.readBase(repo, base, path, GUIDE_BYTES_MAX);
    if (text !== null) return text;
  }
  return null;
}

async function commitsOf(
  deps: RunDependencies,
  snapshot: Snapshot,
  parts: readonly DeltaPart[],
): Promise<readonly CommitLine[]> {
  const moved = parts.find((part) => part.kind === "head");
  if (moved === undefined) return [];
  return await deps.git.log(snapshot.item.repo, moved.before, moved.after, COMMITS_MAX);
}

/** Reviews and merges see the whole change once, then what moved since the head their session knew. */
async function diffOf(
  deps: RunDependencies,
  { order, plan, snapshot }: Pick<PromptFrame, "order" | "plan" | "snapshot">,
): Promise<PromptInput["diff"]> {
  const { pull } = snapshot;
  if (pull === null || order.headSha === null) return null;
  if (order.skill !== "review" && order.skill !== "merge") return null;
  const known = isResumed(plan) ? (lastOf(plan)?.headSha ?? null) : null;
  if (known === order.headSha) return null;
  const from = known ?? pull.baseSha;
  const text = await deps.git.diff(snapshot.item.repo, from, order.headSha, DIFF_BYTES_MAX);
  return { from, to: order.headSha, text };
}

/** The run whose end the plan goes by. */
function lastOf(plan: Plan): RunRecord | null {
  return plan.kind === "start" ? plan.unfinished : plan.last;
}

/** Told when the last run of the conversation, or of the one before it, did not come to its end. */
function findingFor(frame: PromptFrame, goesOn: boolean): string | null {
  const { plan } = frame;
  if (plan.kind === "continue") return findingOf(frame, goesOn);
  if (plan.kind !== "start" || plan.unfinished === null) return null;
  return findingOf(frame, plan.unfinished.fingerprint === frame.order.fingerprint);
}

/** The true state of what the last run did: from the ledger, never from what it said. */
function findingOf({ plan, ledger, order }: PromptFrame, goesOn: boolean): string {
  const last = lastOf(plan);
  if (last === null) return "Nothing is known of it; look at the state of the clone first.";
  const newest = ledger.runs.findLast(({ session }) => session === last.session) ?? last;
  const effects = ledger.effects.filter(
    (effect) => effect.run === last.id || effect.run === newest.id,
  );
  const states = effects.map(({ tool, state, text }) =>
    state === "done" ? `- ${tool}: done. ${text}` : `- ${tool}: ${state}. ${text}`,
  );
  const how = goesOn
    ? `Go on with ${order.skill}: do not repeat what is done.`
    : "Do not go back to it; what you are asked now stands above.";
  return [
    `It did not come to its end (${newest.reason ?? "it was interrupted"}). ${how}`,
    ...(states.length > 0 ? states : ["- none of your calls has taken effect on the forge"]),
  ].join("\n");
}
