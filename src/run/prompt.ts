import type { RunOrder } from "../domain/decision.ts";
import type { ItemRef, Snapshot } from "../domain/snapshot.ts";
import { withUnseenShown } from "../domain/unseen.ts";
import type { CommitLine } from "../ports/git.ts";
import type { DeltaPart } from "../sessions/delta.ts";
import { quote, type RenderContext, renderPart } from "./render-part.ts";

/** Everything a prompt is made of. */
export interface PromptInput {
  readonly order: RunOrder;
  readonly run: string;
  readonly resumed: boolean;
  /** Text of the skill's prompt file; null when the session has it and only goes on. */
  readonly skillText: string | null;
  readonly snapshot: Snapshot;
  /** What the session has not been shown yet. */
  readonly parts: readonly DeltaPart[];
  readonly commits: readonly CommitLine[];
  /** The repository's own guide from its base branch; only in a start prompt. */
  readonly guide: string | null;
  /** What a review or merge looks at; null for the other skills. */
  readonly diff: { readonly from: string; readonly to: string; readonly text: string } | null;
  /** What the conversation before this one left for it; only in a start prompt. */
  readonly handOver: string | null;
  /** What the run before left undone; only when a session is continued or takes over from one. */
  readonly finding: string | null;
  /** Where the clone stands and what was done to it. */
  readonly workspace: string;
  /** The end of what a failing set-up command said, or null. */
  readonly setupFailure: string | null;
  readonly fence: string;
}

/**
 * The text Claude gets. Its first line names the order for machines; then comes the skill, then
 * facts, and everything that people wrote stands between fences, with its author.
 */
export function composePrompt(input: PromptInput): string {
  const { order, snapshot, run, resumed, skillText, finding, diff, guide } = input;
  const context: RenderContext = input;
  const parts = [headLine({ order, item: snapshot.item, run, resumed })];
  if (skillText !== null) parts.push(skillText);
  if (finding !== null) parts.push(`## Your last run\n${finding}`);
  parts.push(`## Where you stand\n${input.workspace}\nWhy you were called: ${order.reason}.`);
  if (input.setupFailure !== null) {
    parts.push(
      `## The set-up command failed\n${quote(context, "output", "setup", withUnseenShown(input.setupFailure))}`,
    );
  }
  if (input.handOver !== null) {
    const text = quote(context, "hand-over", order.agent, input.handOver);
    parts.push(`## What your earlier conversation left for you\n${text}`);
  }
  const acts = input.parts.filter(({ kind }) => kind === "act");
  const others = input.parts.filter(({ kind }) => kind !== "act");
  parts.push(...others.map((part) => renderPart(part, context)));
  if (resumed && acts.length > 0) {
    parts.push(`## What happened\n${acts.map((part) => renderPart(part, context)).join("\n")}`);
  }
  if (guide !== null) {
    parts.push(
      `## The repository's guide (base branch)\n${quote(context, "guide", "repository", withUnseenShown(guide))}`,
    );
  }
  if (diff !== null) {
    parts.push(
      `## Changes from ${diff.from} to ${diff.to}\n${quote(context, "diff", "git", withUnseenShown(diff.text))}`,
    );
  }
  return parts.join("\n\n");
}

/** The first line of every prompt: it names the order for machines. */
export function headLine(of: {
  readonly order: RunOrder;
  readonly item: ItemRef;
  readonly run: string;
  readonly resumed: boolean;
}): string {
  const { order, item, run, resumed } = of;
  const mode = resumed ? "resume" : "start";
  return `claude-hooks: ${order.skill} ${item.repo}#${item.number} as ${order.agent}, run ${run}, ${mode}`;
}
