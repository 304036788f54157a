import { policyFor } from "../config/config.ts";
import type { WorkDependencies } from "../work/dependencies.ts";
import type { ServiceParts } from "./open-parts.ts";
import { policiesOf } from "./settings.ts";

/** What reconciling and sweeping is made with. */
export function workDependencies(parts: ServiceParts): WorkDependencies {
  const { config, forge, git, store, readSnapshot, gates, now, log, metrics, audit } = parts;
  return {
    ...{ forge, git, store, readSnapshot, gates, now, log, metrics, audit },
    sweepReader: forge.sweepReader,
    administrators: async (repo) => await parts.administrators.of(repo),
    policy: (repo) => policyFor(config, repo),
    policies: () => policiesOf(config),
    agents: () => config.agents,
    dropSessions: async (item) => await parts.sessionControl.dropItem(item, "closed"),
    chance: Math.random,
    // Of several processes one may rest: what it would decide is no word about the items.
    pausedByFile: () => parts.shared === null && parts.pauseFile.isOn(),
  };
}
