import { randomBytes, randomUUID } from "node:crypto";
import type { RunDependencies } from "../run/dependencies.ts";
import { oneAtATime } from "../work/one-at-a-time.ts";
import type { ServiceParts } from "./open-parts.ts";
import { agentSettings, repositorySettings } from "./settings.ts";

/** What a run is made with. */
export function runDependencies(parts: ServiceParts): RunDependencies {
  const { config, forge, git, agent, jail, processes, gateway, egress } = parts;
  const { store, sessions, readSnapshot, gates, now, log, metrics, audit, secrets } = parts;
  return {
    ...{ forge, git, agent, jail, processes, gateway, egress },
    ...{ store, readSnapshot, gates, now, log, metrics, audit, secrets },
    sessionsChanged: () => sessions.mirror.changed(),
    prompts: () => parts.prompts,
    repository: (repo) => repositorySettings(config, repo),
    agentSettings: (name) => agentSettings(config, name),
    sessionHome: parts.homes.path,
    oneMerge: oneAtATime(),
    chance: Math.random,
    newId: randomUUID,
    newFence: () => randomBytes(8).toString("hex"),
    pausedByFile: () => parts.pauseFile.isOn(),
  };
}
