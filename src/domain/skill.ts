import type { ToolName } from "./tools.ts";

/** Every named job an agent can be given, in the order in which `decide` tries them. */
export const SKILLS = [
  "implement",
  "address-review",
  "fix-checks",
  "update-branch",
  "review",
  "respond",
  "merge",
] as const;

/** One of SKILLS. */
export type Skill = (typeof SKILLS)[number];

/** The skills whose rule, prompts and effects exist; a decision for another one is `not built`. */
export const BUILT_SKILLS: readonly Skill[] = ["implement", "address-review", "review", "merge"];

/**
 * What the built-in tools of a run may do: `author` edits and runs commands, `reader` only reads,
 * `none` has none: it only answers (a hand-over).
 */
export type Profile = "author" | "reader" | "none";

/** The profile of each skill: only who must change or build the code gets a shell. */
export const PROFILES: Readonly<Record<Skill, Profile>> = {
  implement: "author",
  "address-review": "author",
  "fix-checks": "author",
  "update-branch": "author",
  review: "reader",
  respond: "reader",
  merge: "reader",
};

/** The forge tools each skill offers; `reply` and `ask_human` belong to every skill. */
export const SKILL_TOOLS: Readonly<Record<Skill, readonly ToolName[]>> = {
  implement: ["open_pull_request", "reply", "ask_human"],
  "address-review": ["hand_in", "reply", "ask_human"],
  "fix-checks": ["hand_in", "reply", "ask_human"],
  "update-branch": ["hand_in", "reply", "ask_human"],
  review: ["submit_review", "reply", "ask_human"],
  respond: ["reply", "ask_human"],
  merge: ["request_merge", "decline_merge", "reply", "ask_human"],
};

/**
 * The tools an agent's sessions offer, whatever the skill of the run: a list that changed between two
 * runs would stand in the middle of the request and break its unchanged prefix (measured with CLI
 * 2.1.330). A tool that does not belong to the run's skill is refused when it is called.
 */
export function sessionTools(skills: readonly Skill[]): readonly ToolName[] {
  const built = BUILT_SKILLS.filter((skill) => skills.includes(skill));
  return [...new Set(built.flatMap((skill) => SKILL_TOOLS[skill]))];
}
