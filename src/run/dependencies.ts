import type { Policy } from "../domain/policy.ts";
import type { ItemRef, Snapshot } from "../domain/snapshot.ts";
import type { Agent } from "../ports/agent.ts";
import type { Forge } from "../ports/forge.ts";
import type { Gates } from "../ports/gates.ts";
import type { Egress, Gateway } from "../ports/gateway.ts";
import type { Git } from "../ports/git.ts";
import type { Jail, Processes } from "../ports/jail.ts";
import type { Audit, Log, Metrics, SecretScan } from "../ports/observe.ts";
import type { Store } from "../ports/store.ts";
import type { PromptFiles } from "./prompt-files.ts";

/** What the configuration says about one repository, beyond what decisions need. */
export interface RepositorySettings {
  readonly policy: Policy;
  /** Shell command run in the jail after cloning and when a lockfile changed, or null. */
  readonly setup: string | null;
  /** Hosts the agents of this repository may reach. */
  readonly network: readonly string[];
  /** Host paths mounted read-only into the jail. */
  readonly read: readonly string[];
}

/** What the configuration says about one agent's process. */
export interface AgentSettings {
  readonly model: string;
  /** Name of the gate of the credential it reaches the model with. */
  readonly modelGate: string;
  /** Digest of all tools its sessions know. */
  readonly tools: string;
  readonly identity: { readonly name: string; readonly email: string };
}

/** Everything a run is made with; built once in main. */
export interface RunDependencies {
  readonly forge: Forge;
  readonly git: Git;
  readonly agent: Agent;
  readonly jail: Jail;
  readonly processes: Processes;
  readonly gateway: Gateway;
  readonly egress: Egress;
  readonly store: Store;
  /** Called after the session table changed, so that sessions.json follows. */
  readonly sessionsChanged: () => void;
  readonly prompts: () => PromptFiles;
  readonly repository: (repo: string) => RepositorySettings | null;
  readonly agentSettings: (agent: string) => AgentSettings;
  /** Host directory of one session: the CLI's configuration and transcript. */
  readonly sessionHome: (item: ItemRef, agent: string) => string;
  readonly readSnapshot: (item: ItemRef) => Promise<Snapshot>;
  readonly oneMerge: <T>(base: string, merge: () => Promise<T>) => Promise<T>;
  readonly gates: Gates;
  /** Whether the file that pauses everything is there; asks the file system, never the database. */
  readonly pausedByFile: () => boolean;
  readonly now: () => number;
  /** A random number from 0 up to 1. */
  readonly chance: () => number;
  readonly newId: () => string;
  /** A random word of 16 hex digits that delimits quoted text. */
  readonly newFence: () => string;
  /** Knows the secrets that no text of an agent may carry out. */
  readonly secrets: SecretScan;
  readonly audit: Audit;
  readonly log: Log;
  readonly metrics: Metrics;
}
