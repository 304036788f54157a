import { everyTool } from "../agent/tool-list.ts";
import type { Config } from "../config/config.ts";
import { digestOf } from "../domain/seen.ts";
import { BUILT_SKILLS, PROFILES, type Skill, sessionTools } from "../domain/skill.ts";
import type { Prefix } from "../ports/store/prefixes.ts";

/** A digest of all tools that sessions of an agent with these skills know. */
export function toolsDigest(skills: readonly Skill[]): string {
  const built = BUILT_SKILLS.filter((skill) => skills.includes(skill));
  const profiles = [...new Set(built.map((skill) => PROFILES[skill]))];
  return digestOf(JSON.stringify(everyTool(profiles, sessionTools(skills)).toSorted()));
}

/**
 * What the configuration changes at the beginning of requests of sessions that are there already, one
 * line for each agent: the next run of each of them is paid for in full once.
 */
export function prefixNotices(
  config: Pick<Config, "agents">,
  known: readonly Prefix[],
): readonly { readonly key: string; readonly message: string }[] {
  return config.agents.flatMap(({ name, model, skills }) => {
    const own = known.filter(({ agent }) => agent === name);
    const otherModel = own.filter((prefix) => prefix.model !== model);
    const otherTools = own.filter(({ tools }) => tools !== toolsDigest(skills));
    const sessions = new Set([...otherModel, ...otherTools].map(({ key }) => key)).size;
    if (sessions === 0) return [];
    const changed = [
      ...(otherModel.length === 0 ? [] : [`model (was ${listOf(otherModel)}, is ${model})`]),
      ...(otherTools.length === 0 ? [] : ["list of tools"]),
    ].join(" and ");
    const pay =
      sessions === 1
        ? "1 session pays once for its whole conversation"
        : `${sessions} sessions pay once for their whole conversations`;
    const key = otherModel.length === 0 ? `agents.${name}.skills` : `agents.${name}.model`;
    return [
      {
        key,
        message: `${key}: the ${changed} of ${name} changed: ${pay} at the next run`,
      },
    ];
  });
}

function listOf(prefixes: readonly Prefix[]): string {
  return [...new Set(prefixes.map(({ model }) => model))].sort().join(", ");
}
