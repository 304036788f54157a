import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { ToolName } from "../../src/domain/tools.ts";
import type { Agent, AgentReport } from "../../src/ports/agent.ts";
import type { Git } from "../../src/ports/git.ts";
import type { Store } from "../../src/ports/store.ts";
import type { RunDependencies } from "../../src/run/dependencies.ts";
import type { StoryForge } from "./story-forge.ts";

/**
 * An agent that makes the effects of the story without a model: it opens the pull request, asks for
 * one change, makes it, approves and merges. `between` happens before and after each effect.
 */
export function scriptedAgent(
  forge: StoryForge,
  heads: ReadonlyMap<string, string>,
  between: () => Promise<void>,
): Agent {
  const told = new Map<string, Set<string>>();
  const act = (
    skill: string,
    number: string,
    isFirst: boolean,
  ): { tool: ToolName; input: unknown } => {
    switch (skill) {
      case "implement":
        return { tool: "open_pull_request", input: { title: "Three", body: `For ${number}.` } };
      case "review":
        return isFirst
          ? {
              tool: "submit_review",
              input: {
                verdict: "request_changes",
                body: "Not two.",
                comments: [{ path: "number", line: 1, body: "Three." }],
              },
            }
          : { tool: "submit_review", input: { verdict: "approve", body: "Three it is." } };
      case "address-review":
        return { tool: "hand_in", input: { summary: "Three now." } };
      case "merge":
        return { tool: "request_merge", input: { summary: "Three." } };
      default:
        throw new Error(`nobody told me how to ${skill}`);
    }
  };
  return {
    run: async (request, listener): Promise<AgentReport> => {
      const head = /^claude-hooks: (\S+) \S+#(\d+)/u.exec(request.prompt);
      const { id } = request.session;
      told.set(id, (told.get(id) ?? new Set()).add(request.runId));
      await between();
      const isFirst = heads.get(request.clone) === forge.shas.first;
      const call = act(head?.[1] ?? "?", head?.[2] ?? "?", isFirst);
      await listener.call(call as Parameters<typeof listener.call>[0], `call-${request.runId}`);
      await forge.idle();
      await between();
      const end = { kind: "completed", text: "Done." } as const;
      return { end, began: true, turns: 1, usdTotal: 0, denials: 0 };
    },
    hasTranscript: async (_place, session) => told.has(session),
    holdsPrompt: async (_place, session, run) => told.get(session)?.has(run) ?? false,
    dropTranscript: async (_place, session) => Number(told.delete(session)),
    readTranscript: async () => null,
  };
}

/** Git whose clones are empty directories and whose agent has the next commit of the story at hand. */
export function scriptedGit(forge: StoryForge, heads: Map<string, string>): Git {
  const { shas } = forge;
  const remoteHead = async (repo: string, branch: string): Promise<string | null> => {
    const rows = (await forge.api("alice", "GET", `/repos/${repo}/branches`)) as {
      name: string;
      commit: { id: string };
    }[];
    return rows.find(({ name }) => name === branch)?.commit.id ?? null;
  };
  const clones = new Map<string, Set<string>>();
  const change = {
    ...{ paths: ["number"], lines: 2, bytes: 2, links: [], complete: true },
  };
  return {
    use: async () => ({ child: () => undefined, release: () => undefined }),
    removeClone: async () => false,
    sizes: async () => ({ total: 0, repositories: new Map(), clones: [], spares: [] }),
    removeSpare: async () => false,
    allowSpares: () => undefined,
    close: async () => undefined,
    prepare: async ({ item, agent, branch, at }) => {
      const name = `${item.repo}#${item.number}`;
      const path = join(forge.dir, "clones", item.repo, agent);
      await mkdir(path, { recursive: true });
      clones.set(name, (clones.get(name) ?? new Set()).add(agent));
      const remoteSha = await remoteHead(item.repo, branch);
      const headSha = at ?? remoteSha ?? shas.base;
      heads.set(path, headSha);
      return { path, headSha, baseSha: shas.base, remoteSha, fresh: true, kept: null };
    },
    push: async ({ item, branch, remoteSha }) => {
      if (remoteSha === shas.second) return { kind: "up_to_date", sha: shas.second };
      const sha = remoteSha === null ? shas.first : shas.second;
      await forge.push("boss", item.repo, sha, branch);
      return { kind: "pushed", sha };
    },
    remoteHead,
    inspect: async () => ({ headSha: shas.base, aheadOfBase: false, dirtyFiles: [] }),
    readBase: async () => null,
    diff: async () => "+2\n",
    log: async () => [],
    conflicts: async () => false,
    change: async () => change,
    removeClones: async (item) => {
      const name = `${item.repo}#${item.number}`;
      const count = clones.get(name)?.size ?? 0;
      clones.delete(name);
      return count;
    },
    lockfileDigest: async () => "",
  };
}

const NO_TOKENS = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 };

/** Everything of a run that has no part in what the schedules are about. */
export function idleParts(): Pick<
  RunDependencies,
  "gateway" | "egress" | "jail" | "processes" | "prompts"
> {
  const meter = () => ({
    ...{ tokens: NO_TOKENS, usd: 0, requests: 1, contextTokens: 0, retryAt: null },
  });
  const door = { socket: "", url: null, credential: "", meter, close: async () => undefined };
  return {
    gateway: { open: async () => door, stop: async () => undefined },
    egress: { open: async () => null },
    jail: {
      mode: "none",
      tag: "",
      check: async () => ({ ok: true }),
      command: () => {
        throw new Error("nothing is run here");
      },
    },
    processes: {
      identify: () => null,
      isAlive: () => false,
      end: async () => undefined,
      endTagged: async () => 0,
    },
    prompts: () => ({ system: "", texts: new Map() }),
  };
}

/** Gates that are always open. */
export const OPEN_GATES = {
  closed: () => [],
  names: () => [],
  isClosed: () => false,
  holding: () => null,
  held: () => [],
  follow: async () => undefined,
  enter: async () => true,
  block: () => undefined,
  pass: () => undefined,
  leave: () => undefined,
  suspect: async () => false,
  tryDue: () => undefined,
  nextTry: () => null,
  settled: async () => undefined,
} satisfies RunDependencies["gates"];

/** Drops every session of an item; resolves with how many there were. */
export async function dropSessions(store: Store, repo: string, number: number): Promise<number> {
  return (await store.sessions.dropAll(repo, number)).length;
}
