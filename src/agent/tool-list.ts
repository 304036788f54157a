import type { Profile } from "../domain/skill.ts";
import type { ToolName } from "../domain/tools.ts";

/** The CLI's own tools of each profile; nothing else of its forty exists for the model. */
export const BUILT_IN: Readonly<Record<Profile, readonly string[]>> = {
  author: ["Bash", "Read", "Edit", "Write", "Grep", "Glob"],
  reader: ["Read", "Grep", "Glob"],
  none: [],
};

/**
 * Never the same list twice over: a change of it breaks the whole cached prefix of a session
 * (measured), so it does not depend on the profile. It also blocks what `tools` only hides:
 * talking to other agents of this host, and reaching the web past the egress list.
 */
export const DISALLOWED: string[] = [
  "SendMessage",
  "ListAgents",
  "WebFetch",
  "WebSearch",
  "Agent",
  "Skill",
];

/** Everything about tools that the beginning of a request depends on, for sessions with these profiles. */
export function everyTool(
  profiles: readonly Profile[],
  tools: readonly ToolName[],
): readonly string[] {
  return [
    ...profiles.flatMap((profile) => BUILT_IN[profile].map((name) => `${profile}/${name}`)),
    ...tools,
    ...DISALLOWED.map((name) => `-${name}`),
  ];
}
