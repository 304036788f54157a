import type { RunOrder } from "../domain/decision.ts";
import type { Ledger } from "../domain/ledger.ts";
import { agentOf, isPermitted, isWriter } from "../domain/people.ts";
import type { Account, Snapshot } from "../domain/snapshot.ts";
import { newsFor, shownBy } from "../sessions/news.ts";
import type { Plan } from "../sessions/plan.ts";
import type { RepositorySettings, RunDependencies } from "./dependencies.ts";
import { composePrompt, type PromptInput } from "./prompt.ts";
import { promptFile } from "./prompt-files.ts";

const GUIDE_BYTES_MAX = 20_000;
const SKILL_BYTES_MAX = 32_768;
const DIFF_BYTES_MAX = 40_000;
/** The repository's own guide, the first that its base branch has. */
const GUIDES = ["AGENTS.md", "CLAUDE.md"];

export interface RunPrompt {
  readonly text: string;
  /** Every text the session will have been shown with this prompt. */
  readonly shown: readonly string[];
  /** The prompt shows text of somebody without write access. */
  readonly tainted: boolean;
}

/** Gathers what a run is told: skill, texts that are new to its session, guide and diff. Throws GitFailure. */
export async function composeForRun(
  deps: RunDependencies,
  frame: {
    readonly order: RunOrder;
    readonly run: string;
    readonly plan: Plan;
    readonly snapshot: Snapshot;
    readonly ledger: Ledger;
    readonly settings: RepositorySettings;
    readonly workspaceText: string;
  },
): Promise<RunPrompt> {
  const { order, plan, snapshot, ledger, settings } = frame;
  const { policy } = settings;
  const resumed = plan.kind !== "start";
  const before = plan.kind === "start" ? [] : plan.last.shown;
  const self = policy.agents.find(({ name }) => name === order.agent)?.login ?? order.agent;
  const news = newsFor(snapshot, {
    shown: new Set(before),
    self,
    isTrusted: (author) => isTrusted(author, frame),
  });
  const text = composePrompt({
    order,
    run: frame.run,
    resumed,
    skillText: await skillText(deps, frame, resumed),
    snapshot,
    news,
    guide: resumed ? null : await guideOf(deps, frame),
    diff: await diffOf(deps, frame),
    finding: plan.kind === "continue" ? findingOf(plan.last.reason, ledger, plan.last.id) : null,
    workspace: frame.workspaceText,
    fence: deps.newFence(),
  });
  return {
    text,
    shown: [...new Set([...before, ...shownBy(news)])],
    tainted: !resumed && !isTrusted(snapshot.author, frame),
  };
}

function isTrusted(
  author: Account,
  { snapshot, settings }: { snapshot: Snapshot; settings: RepositorySettings },
): boolean {
  const { policy } = settings;
  return (
    agentOf(author, policy) !== undefined ||
    isWriter(author, snapshot) ||
    isPermitted(author, snapshot, policy)
  );
}

/** The repository's own prompt file on its base branch wins over the installation's. */
async function skillText(
  deps: RunDependencies,
  { order, settings }: { order: RunOrder; settings: RepositorySettings },
  resumed: boolean,
): Promise<string> {
  const file = promptFile(order.skill, resumed);
  const { repo, base } = settings.policy.repository;
  const own = await deps.git.readBase(repo, base, `.claude-hooks/skills/${file}`, SKILL_BYTES_MAX);
  const text = own?.trim() ?? "";
  return text === "" ? (deps.prompts().texts.get(file) ?? "") : text;
}

async function guideOf(
  deps: RunDependencies,
  { settings }: { settings: RepositorySettings },
): Promise<string | null> {
  const { repo, base } = settings.policy.repository;
  for (const path of GUIDES) {
    const text = await deps.git.readBase(repo, base, path, GUIDE_BYTES_MAX);
    if (text !== null) return text;
  }
  return null;
}

/** Reviews and merges see the whole change once, then what moved since the head their session knew. */
async function diffOf(
  deps: RunDependencies,
  frame: { order: RunOrder; plan: Plan; snapshot: Snapshot },
): Promise<PromptInput["diff"]> {
  const { order, plan, snapshot } = frame;
  const { pull } = snapshot;
  if (pull === null || order.headSha === null) return null;
  if (order.skill !== "review" && order.skill !== "merge") return null;
  const known = plan.kind === "start" ? null : plan.last.headSha;
  if (known === order.headSha) return null;
  const from = known ?? pull.baseSha;
  const text = await deps.git.diff(snapshot.item.repo, from, order.headSha, DIFF_BYTES_MAX);
  return { from, to: order.headSha, text };
}

function findingOf(reason: string | null, ledger: Ledger, run: string): string {
  const effects = ledger.effects.filter((effect) => effect.run === run);
  const states = effects.map(({ tool, state, text }) =>
    state === "done" ? `- ${tool}: done. ${text}` : `- ${tool}: ${state}. ${text}`,
  );
  return [
    `It did not come to its end (${reason ?? "it was interrupted"}). Do not repeat what is done; go on from there.`,
    ...(states.length > 0 ? states : ["- none of your calls has taken effect on the forge yet"]),
  ].join("\n");
}
