import { BUILT_SKILLS } from "../domain/skill.ts";
import type { ConfigNotice } from "./problem.ts";
import type { ConfigDocument } from "./schema.ts";

/**
 * Keys that are known and checked but that nothing reads in this release, with what holds instead.
 * Named at every start when the file sets them. Take a line out when its feature is built.
 */
export const NOT_IN_FORCE: Readonly<Record<string, string>> = {
  "limits.check_rounds": "failing checks are not mended by agents yet",
  "limits.grace_hours": "what a finished work item left is removed at once",
};

/** The notices for what the file (`written`: as parsed, without defaults) asks for in vain. */
export function notInForce(written: unknown, document: ConfigDocument): ConfigNotice[] {
  const notices = Object.entries(NOT_IN_FORCE)
    .filter(([key]) => isWritten(written, key.split(".")))
    .map(([key, instead]) => ({ key, message: `${key} is not in force yet: ${instead}` }));
  for (const [name, agent] of Object.entries(document.agents)) {
    const key = `agents.${name}.skills`;
    for (const skill of agent.skills.filter((skill) => !BUILT_SKILLS.includes(skill))) {
      notices.push({ key, message: `${key}: the skill ${skill} is not built yet` });
    }
  }
  return notices;
}

function isWritten(value: unknown, path: readonly string[]): boolean {
  const [first, ...rest] = path;
  if (first === undefined) {
    return value !== null;
  }
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, first)) {
    return false;
  }
  return isWritten((value as Readonly<Record<string, unknown>>)[first], rest);
}
