import type { Limits, Policy, RepositoryPolicy } from "../domain/policy.ts";
import type { Skill } from "../domain/skill.ts";
import { databaseSecrets } from "./database.ts";
import type { Listen } from "./listen.ts";
import type { ConfigDocument } from "./schema.ts";
import type { Secret } from "./secret.ts";

/** The configuration in force: defaults filled in, paths absolute, secrets read. */
export interface Config {
  /** Absolute path of the file it was read from. */
  readonly file: string;
  readonly stateDir: string;
  /** Directory with prompt files that replace the built-in ones, or null. */
  readonly skillsDir: string | null;
  readonly forge: {
    readonly kind: "forgejo" | "gitea";
    /** Without a slash at its end. */
    readonly url: string;
    /** PEM text of the authority that signed the forge's certificate, and its path, or null. */
    readonly ca: { readonly file: string; readonly pem: string } | null;
    readonly requestsPerSecond: number;
  };
  readonly webhook: {
    readonly listen: Listen;
    readonly path: string;
    readonly secrets: readonly Secret[];
  };
  readonly admin: {
    readonly listen: Listen;
    /** `missing`: the token file is to be created by `createAdminToken` before the listener opens. */
    readonly token:
      | { readonly kind: "present"; readonly secret: Secret }
      | { readonly kind: "missing"; readonly path: string };
    readonly hosts: readonly string[];
  };
  /** Address of the PostgreSQL database; null: SQLite in the state directory. */
  readonly database: Secret | null;
  readonly model: {
    /** Without a slash at its end; requests go to `<baseUrl>/v1/messages`. */
    readonly baseUrl: string;
    readonly credential: { readonly kind: "api_key" | "oauth_token"; readonly secret: Secret };
  };
  /** In the order of the file. */
  readonly agents: readonly AgentConfig[];
  readonly repositories: readonly RepositoryConfig[];
  readonly limits: ServiceLimits;
  readonly sweepSeconds: number;
  readonly sandbox: "bwrap" | "none";
  readonly allowRoot: boolean;
  /** The document as written with all defaults; what `config show` prints. */
  readonly document: ConfigDocument;
}

/** An agent as it is configured, its token read. */
export interface AgentConfig {
  readonly name: string;
  readonly login: string;
  readonly token: Secret;
  readonly skills: readonly Skill[];
  readonly model: string;
  readonly git: { readonly name: string; readonly email: string | null };
}

/** One entry of `repositories`; `pattern` is `owner/name` or `owner/*` in lower case. */
export interface RepositoryConfig {
  readonly pattern: string;
  readonly policy: Omit<RepositoryPolicy, "repo">;
  /** Shell command run in the jail after cloning and when a lockfile changed, or null. */
  readonly setup: string | null;
  /** Hosts the jail may reach. */
  readonly network: readonly string[];
  /** Absolute host paths mounted read-only. */
  readonly read: readonly string[];
}

/** What decisions look at, and the limits of the service around them. */
export interface ServiceLimits extends Limits {
  readonly transcriptDays: number;
  readonly deliveryDays: number;
  readonly bodyBytes: number;
  /** Waiting deliveries above which the intake refuses. */
  readonly queue: number;
  readonly diskGb: number;
  /** Of each repository; null: no limit of its own. */
  readonly diskGbPerRepository: number | null;
}

/** The first entry that matches `owner/name`, in any case of letters, or null: not ours. */
export function repositoryFor(config: Config, repo: string): RepositoryConfig | null {
  const wanted = repo.toLowerCase();
  const owner = wanted.slice(0, wanted.indexOf("/"));
  return (
    config.repositories.find(
      (entry) => entry.pattern === wanted || entry.pattern === `${owner}/*`,
    ) ?? null
  );
}

/** Everything decisions about one repository depend on, or null when it is not configured. */
export function policyFor(config: Config, repo: string): Policy | null {
  const entry = repositoryFor(config, repo);
  if (entry === null) {
    return null;
  }
  return {
    agents: config.agents.map(({ name, login, skills }) => ({ name, login, skills })),
    repository: { repo: repo.toLowerCase(), ...entry.policy },
    limits: config.limits,
    ...(config.sandbox === "none" ? { unsandboxed: true } : {}),
  };
}

/** Every secret value of the configuration: what the redactor must know. */
export function secretsOf(config: Config): readonly Secret[] {
  const { token } = config.admin;
  return [
    ...config.webhook.secrets,
    ...(token.kind === "present" ? [token.secret] : []),
    config.model.credential.secret,
    ...(config.database === null ? [] : databaseSecrets(config.database)),
    ...config.agents.map((agent) => agent.token),
  ];
}
