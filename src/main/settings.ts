import { type Config, policyFor, repositoryFor } from "../config/config.ts";
import type { Policy } from "../domain/policy.ts";
import type { AgentSettings, RepositorySettings } from "../run/dependencies.ts";
import { modelGateOf } from "./open-gates.ts";
import { toolsDigest } from "./prefixes.ts";

/** The token is the password; the user name does not matter to Forgejo and Gitea. */
export function gitCredential(config: Config, name: string | null): string | null {
  const agent = config.agents.find((one) => one.name === name) ?? config.agents[0];
  if (agent === undefined) return null;
  const basic = Buffer.from(`${agent.login}:${agent.token.reveal()}`).toString("base64");
  return `Authorization: Basic ${basic}`;
}

/** The policy of every entry of `repositories`; of one for all of an owner its `repo` is `owner/*`. */
export function policiesOf(config: Config): readonly Policy[] {
  return config.repositories.flatMap(({ pattern }) => policyFor(config, pattern) ?? []);
}

/** What runs need to know of a repository, or null when the configuration does not name it. */
export function repositorySettings(config: Config, repo: string): RepositorySettings | null {
  const entry = repositoryFor(config, repo);
  const policy = policyFor(config, repo);
  if (entry === null || policy === null) return null;
  const { setup, network, read } = entry;
  return { policy, setup, network, read };
}

/** What runs need to know of an agent; an unknown name is a bug. */
export function agentSettings(config: Config, name: string): AgentSettings {
  const agent = config.agents.find((one) => one.name === name);
  if (agent === undefined) throw new Error(`no agent ${name} in the configuration`);
  const { host } = new URL(config.forge.url);
  const email = agent.git.email ?? `${agent.login}@noreply.${host.replace(/:\d+$/u, "")}`;
  return {
    model: agent.model,
    modelGate: modelGateOf(config),
    tools: toolsDigest(agent.skills),
    identity: { name: agent.git.name, email },
  };
}
