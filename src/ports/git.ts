import type { Change } from "../domain/change.ts";
import type { ItemRef } from "../domain/snapshot.ts";

/** Why git could not do it, classified from its exit and output where it ran. */
export type GitFailureKind =
  | "auth"
  | "not_found"
  /** The repository is there, but not the branch that work starts from. */
  | "no_base"
  | "unavailable"
  | "disk"
  | "timeout"
  | "broken";

/** Git could not do it; `kind` says why. */
export class GitFailure extends Error {
  override readonly name = "GitFailure";
  readonly kind: GitFailureKind;

  constructor(kind: GitFailureKind, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.kind = kind;
  }
}

/** Which clone is wanted, and where it is to stand. */
export interface WorkspaceOrder {
  readonly item: ItemRef;
  readonly agent: string;
  readonly base: string;
  /** The branch the work lives on, e.g. `boss/42`; for a review the branch under review. */
  readonly branch: string;
  /** Stand at exactly this sha (a review); null: at the branch's remote head, or the base if there is none. */
  readonly at: string | null;
  readonly identity: { readonly name: string; readonly email: string };
  readonly run: string;
}

/** A prepared clone of one (agent, work item). */
export interface Workspace {
  readonly path: string;
  /** HEAD after preparing. */
  readonly headSha: string;
  readonly baseSha: string;
  /** The remote branch's sha the run was prepared from, or null when it does not exist yet. */
  readonly remoteSha: string | null;
  /** The clone was made now, not found. */
  readonly fresh: boolean;
  /** Ref in the cache that keeps local commits which were not in the remote head, or null. */
  readonly kept: string | null;
}

/** What became of a push; with the first two the branch stands at the clone's HEAD. */
export type PushAnswer =
  | { readonly kind: "pushed"; readonly sha: string }
  /** The branch stands there already. */
  | { readonly kind: "up_to_date"; readonly sha: string }
  /** HEAD has no commit that the base does not have. */
  | { readonly kind: "no_commits" }
  | { readonly kind: "dirty"; readonly files: readonly string[] }
  | { readonly kind: "moved"; readonly by: string; readonly sha: string }
  /** HEAD does not contain `sha`, which it was to be rebased onto. */
  | { readonly kind: "not_rebased"; readonly sha: string }
  /** `check` had this against it. */
  | { readonly kind: "objected"; readonly reason: string }
  | { readonly kind: "refused"; readonly message: string };

/**
 * Service-owned bare caches and the agents' clones. Git never runs inside a directory an agent can
 * write, except hardened. Every method throws GitFailure.
 */
export interface Git {
  prepare(order: WorkspaceOrder): Promise<Workspace>;
  /** Brings HEAD of the clone into the cache and pushes exactly refs/heads/<branch>, with a lease on `remoteSha`. */
  push(order: PushOrder): Promise<PushAnswer>;
  /** What stands in the clone: its HEAD and whether the base already contains it. */
  inspect(item: ItemRef, agent: string, base: string): Promise<CloneState>;
  /** Text of a file at a commit or branch of the remote, or null when it is not there; at most `bytes`. */
  readBase(repo: string, branch: string, path: string, bytes: number): Promise<string | null>;
  /** The sha a branch has on the remote now, or null when it does not exist. */
  remoteHead(repo: string, branch: string): Promise<string | null>;
  /** Unified diff of base...head from the cache, cut at `bytes`. */
  diff(repo: string, base: string, head: string, bytes: number): Promise<string>;
  /** Commits of from..to, newest first, at most `count`; empty when `from` is unknown (a force-push). */
  log(repo: string, from: string, to: string, count: number): Promise<readonly CommitLine[]>;
  /** What base...head changes: branches of the remote or shas. */
  change(repo: string, base: string, head: string): Promise<Change>;
  /** Whether merging head into base conflicts, by git merge-tree in the cache. */
  conflicts(repo: string, base: string, head: string): Promise<boolean>;
  /** Takes a clone for a run, whether it exists or not; waits for the end of what works in it. */
  use(item: ItemRef, agent: string): Promise<CloneUse>;
  /** Removes one clone to make room; false when it is in use. Its commits are kept in the cache. */
  removeClone(item: ItemRef, agent: string): Promise<boolean>;
  /** Removes the spare work tree of a repository to make room; false when there is none. */
  removeSpare(repo: string): Promise<boolean>;
  /** From now on spare work trees are made only of repositories that this says yes to. */
  allowSpares(isAllowed: (repo: string) => boolean): void;
  /** What the state directory takes on the disk. */
  sizes(): Promise<Sizes>;
  /** Removes every clone of the item, when nothing works in them any more; resolves with how many there were. */
  removeClones(item: ItemRef): Promise<number>;
  /** Paths of files whose change means that `setup` must run again, with a digest of their content. */
  lockfileDigest(item: ItemRef, agent: string): Promise<string>;
  /** Ends what goes on in the background, at the end of the service. */
  close(): Promise<void>;
}

/** The right to a clone: until it is given back nobody changes or removes it. */
export interface CloneUse {
  /** A process was started in the clone: it stays in use until that is gone, also when it is given back. */
  child(isAlive: () => boolean): void;
  release(): void;
}

/** Bytes on the disk. */
export interface Sizes {
  readonly total: number;
  /** Clones, spare work tree, cache and conversations of each repository, by `owner/name`. */
  readonly repositories: ReadonlyMap<string, number>;
  readonly clones: readonly {
    readonly item: ItemRef;
    readonly agent: string;
    readonly bytes: number;
  }[];
  /** Work trees that wait for the next clone of a repository. */
  readonly spares: readonly { readonly repo: string; readonly bytes: number }[];
}

/** A commit as one line of a log. */
export interface CommitLine {
  readonly sha: string;
  readonly author: string;
  readonly subject: string;
}

/** What is to be pushed where; `remoteSha` is where the branch was known to stand (null: nowhere). */
export interface PushOrder {
  readonly item: ItemRef;
  readonly agent: string;
  readonly branch: string;
  readonly base: string;
  readonly remoteSha: string | null;
  readonly run: string;
  /** A sha that what is pushed must contain: somebody moved the branch and was told of. */
  readonly onto?: string | null;
  /** Asked before anything leaves the cache; a text is a reason not to push. What it throws ends the push. */
  readonly check?: (work: OutgoingWork) => Promise<string | null>;
}

/** What a push would bring to the forge. */
export interface OutgoingWork {
  readonly sha: string;
  /** Of the commits that neither the base nor the remote branch has, newest first, at most 500. */
  readonly messages: readonly string[];
  /** Authors, messages and patches of those commits, cut at 8 MiB. */
  readonly text: string;
  /** The whole branch against its base. */
  readonly change: Change;
}

/** What stands in a clone. */
export interface CloneState {
  readonly headSha: string;
  readonly aheadOfBase: boolean;
  readonly dirtyFiles: readonly string[];
}
