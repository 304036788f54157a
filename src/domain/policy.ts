import type { Skill } from "./skill.ts";

/** An agent as `decide` sees it; `name` is its key in the configuration, never the login. */
export interface PolicyAgent {
  readonly name: string;
  readonly login: string;
  readonly skills: readonly Skill[];
}

type Autonomy = "propose" | "review" | "merge";

/** What the operator allows in one repository. */
export interface RepositoryPolicy {
  readonly repo: string;
  readonly autonomy: Autonomy;
  readonly base: string;
  readonly checks: "none" | "all" | readonly string[];
  readonly trigger: { readonly assignee: boolean; readonly label: string | null };
  /**
   * `write`: everybody with write access; `anyone`: everybody, and agents then only read; else the
   * logins that may start work, each as `login` or, bound to one account for good, `login#id`.
   */
  readonly mayTrigger: "write" | "anyone" | readonly string[];
  readonly review: "requested" | "agents" | "all";
  readonly approvals: { readonly any: number; readonly people: number };
  readonly mergeStyle: "merge" | "rebase" | "rebase-merge" | "squash" | "fast-forward-only";
  /** Globs; a pull request that touches one needs a person's approval of exactly its head. */
  readonly protectedPaths: readonly string[];
}

/** The limits of the configuration, in the units of their names; docs/configuration.md tells each. */
export interface Limits {
  readonly runs: number;
  readonly runsPerAgent: number;
  readonly runsPerItem: number;
  readonly reviewRounds: number;
  readonly failures: number;
  readonly checkRounds: number;
  readonly checksMinutes: number;
  readonly runMinutes: number;
  readonly stallMinutes: number;
  readonly graceHours: number;
  readonly usdPerRun: number;
  readonly usdPerItem: number;
  readonly usdPerDay: number;
  /** Tokens of every kind together; null: no limit. */
  readonly tokensPerDay: number | null;
  readonly resumes: number;
  readonly contextTokens: number;
  readonly sessionDays: number;
}

/** Everything of the configuration that decisions depend on, for one repository. */
export interface Policy {
  readonly agents: readonly PolicyAgent[];
  readonly repository: RepositoryPolicy;
  readonly limits: Limits;
  /** True: agents run without a sandbox on this host. */
  readonly unsandboxed?: boolean;
}
