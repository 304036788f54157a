import { mkdir } from "node:fs/promises";
import { execa } from "execa";
import type { RunOrder } from "../domain/decision.ts";
import { agentBranch } from "../domain/resolve-item.ts";
import { PROFILES } from "../domain/skill.ts";
import type { ItemRef, Snapshot } from "../domain/snapshot.ts";
import type { Workspace } from "../ports/git.ts";
import type { JailedCommand } from "../ports/jail.ts";
import type { RepositorySettings, RunDependencies } from "./dependencies.ts";

const SETUP_MS_MAX = 15 * 60_000;
const SETUP_TAIL = 1500;

/** A prepared place to work in, and what the agent is told about it. */
export interface PreparedWorkspace {
  readonly workspace: Workspace;
  readonly branch: string;
  readonly text: string;
  /** The end of what a failing set-up command said, or null. */
  readonly setupFailure: string | null;
}

/** The branch a run works on: its own for an implementer, the pull request's for everybody else. */
function branchOf(order: RunOrder, snapshot: Snapshot): string {
  if (order.skill === "implement" || snapshot.pull === null) {
    return agentBranch(order.agent, snapshot.item.number);
  }
  return snapshot.pull.headBranch;
}

/** Prepares the clone, runs the repository's `setup` in the jail when it must, and says where the clone stands. Throws GitFailure. */
export async function prepareWorkspace(
  deps: RunDependencies,
  frame: {
    item: ItemRef;
    order: RunOrder;
    run: string;
    snapshot: Snapshot;
    settings: RepositorySettings;
    /** Ends the set-up command: the run has been stopped. */
    signal: AbortSignal;
  },
): Promise<PreparedWorkspace> {
  const { item, order, run, snapshot, settings } = frame;
  const branch = branchOf(order, snapshot);
  const base = snapshot.pull?.baseBranch ?? settings.policy.repository.base;
  const isAuthor = PROFILES[order.skill] === "author";
  const workspace = await deps.git.prepare({
    item,
    agent: order.agent,
    base,
    branch,
    at: isAuthor ? null : order.headSha,
    identity: deps.agentSettings(order.agent).identity,
    run,
  });
  await deps.store.ledger.cloneMade(item, order.agent);
  await mkdir(deps.sessionHome(item, order.agent), { recursive: true, mode: 0o700 });
  const lines = [
    `Your clone stands at ${workspace.headSha}, branch ${branch}; the base branch ${base} is at ${workspace.baseSha}.`,
  ];
  if (workspace.kept !== null) {
    lines.push(`Commits of yours that were not on the forge are kept as ${workspace.kept}.`);
  }
  const setupFailure =
    isAuthor && settings.setup !== null
      ? await runSetup(deps, { ...frame, setup: settings.setup, workspace })
      : null;
  return { workspace, branch, text: lines.join("\n"), setupFailure };
}

/** Null when it succeeded or was not needed; else the end of its output. */
async function runSetup(
  deps: RunDependencies,
  frame: {
    item: ItemRef;
    order: RunOrder;
    setup: string;
    workspace: Workspace;
    settings: RepositorySettings;
    signal: AbortSignal;
  },
): Promise<string | null> {
  const { item, order, setup, workspace, settings, signal } = frame;
  const key = `setup:${item.repo}#${item.number}/${order.agent}`;
  const wanted = `${setup}\n${await deps.git.lockfileDigest(item, order.agent)}`;
  if (!workspace.fresh && (await deps.store.meta.get(key)) === wanted) return null;
  const door = await deps.egress.open(settings.network);
  try {
    const command = deps.jail.command(
      {
        clone: workspace.path,
        home: deps.sessionHome(item, order.agent),
        gatewaySocket: null,
        egressSocket: door?.socket ?? null,
        read: settings.read,
        env: {},
      },
      "/bin/sh",
      ["-c", setup],
    );
    const result = await outputOf(deps, command, signal);
    if (result.exitCode === 0) {
      await deps.store.meta.set(key, wanted);
      return null;
    }
    if (signal.aborted) return "It was stopped.";
    deps.log.warn("setup failed", { repo: item.repo, number: item.number, agent: order.agent });
    return result.tail;
  } finally {
    await door?.close();
  }
}

/** Runs a command to its end; of what it says, however much, only the end is kept. */
async function outputOf(
  { processes, log }: Pick<RunDependencies, "processes" | "log">,
  { file, args, cwd, env }: JailedCommand,
  signal: AbortSignal,
): Promise<{ exitCode: number | null; tail: string }> {
  const child = execa(file, [...args], {
    cwd,
    env,
    extendEnv: false,
    all: true,
    buffer: false,
    reject: false,
    stdin: "ignore",
  });
  let tail = "";
  child.all.setEncoding("utf8").on("data", (piece: string) => {
    tail = (tail + piece).slice(-SETUP_TAIL);
  });
  const identity = child.pid === undefined ? null : processes.identify(child.pid);
  const over = AbortSignal.any([signal, AbortSignal.timeout(SETUP_MS_MAX)]);
  const end = (): void => {
    // Not by a signal alone: of a bubblewrap killed while it forks something may stay, and be waited for.
    if (identity === null) return;
    processes.end(identity).catch((error: unknown) => {
      log.error("a set-up command could not be ended", { reason: String(error) });
    });
  };
  over.addEventListener("abort", end, { once: true });
  if (over.aborted) end();
  const { exitCode } = await child;
  over.removeEventListener("abort", end);
  return { exitCode: exitCode ?? null, tail };
}
