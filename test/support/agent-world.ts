import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import {
  type ModelEndpoint,
  type RecordedRequest,
  type Step,
  startModelEndpoint,
} from "../../demo/model/endpoint.ts";
import { createAgent } from "../../src/agent/create-agent.ts";
import type { SharedTranscripts } from "../../src/agent/transcripts.ts";
import type { ToolAnswer, ToolCall } from "../../src/domain/tools.ts";
import { createGateway } from "../../src/gateway/create-gateway.ts";
import type { Agent, AgentEvent, AgentReport, AgentRequest } from "../../src/ports/agent.ts";
import type { GatewayDoor } from "../../src/ports/gateway.ts";
import type { Jail, JailSpec, Processes, ProcessIdentity } from "../../src/ports/jail.ts";
import { createJail } from "../../src/sandbox/create-jail.ts";
import { createProcesses } from "../../src/sandbox/create-processes.ts";

/** Never sent anywhere but to the scripted endpoint; tests look for it where it must not be. */
export const REAL_KEY = "sk-real-0123456789abcdef-must-stay-outside";

export type Respond = (request: RecordedRequest) => Step | Promise<Step>;

/** A run as a test asks for it; everything has a default. */
export type RunWish = Partial<Omit<AgentRequest, "door">> & {
  readonly usdLimit?: number;
  readonly spawned?: (process: ProcessIdentity) => Promise<void>;
  readonly heard?: (event: AgentEvent) => void;
  readonly call?: (call: ToolCall, id: string) => Promise<ToolAnswer>;
  readonly signal?: AbortSignal;
};

interface RunSeen {
  readonly report: AgentReport;
  readonly events: readonly AgentEvent[];
  readonly calls: readonly ToolCall[];
  readonly process: ProcessIdentity | null;
  readonly door: GatewayDoor;
}

/** The real CLI in the real jail behind the real gateway, in front of a scripted model. */
export interface AgentWorld extends AsyncDisposable {
  readonly dir: string;
  readonly clone: string;
  readonly home: string;
  readonly endpoint: ModelEndpoint;
  readonly processes: Processes;
  /** Requests of the conversation itself, oldest first. */
  main(): readonly RecordedRequest[];
  script(respond: Respond): void;
  readonly agent: Agent;
  run(wish?: RunWish): Promise<RunSeen>;
}

/** `shared`: transcripts that several such worlds have in common; `weaken`: takes one defence of the jail away. */
export async function agentWorld(
  mode: "bwrap" | "none" = "bwrap",
  shared?: SharedTranscripts,
  weaken: (jail: Jail) => Jail = (jail) => jail,
): Promise<AgentWorld> {
  const dir = await mkdtemp("/tmp/ch-agent-");
  const [clone, home] = [join(dir, "clone"), join(dir, "home")];
  await Promise.all([mkdir(clone), mkdir(home)]);
  await git(clone, ["init", "-q", "-b", "main"]);
  await git(clone, ["config", "user.name", "boss"]);
  await git(clone, ["config", "user.email", "boss@example.org"]);
  await Bun.write(join(clone, "README.md"), "# Widgets\n");
  await git(clone, ["add", "-A"]);
  await git(clone, ["commit", "-q", "-m", "Begin"]);
  let respond: Respond = () => ({ text: "done" });
  const endpoint = startModelEndpoint({
    respond: (request) => (request.main ? respond(request) : { text: "title" }),
  });
  const jail = weaken(createJail({ mode, dir: join(dir, "jail") }));
  const processes = createProcesses();
  const gateway = createGateway({
    dir: join(dir, "gw"),
    upstream: endpoint.url,
    credential: { kind: "api_key", value: REAL_KEY },
    now: Date.now,
    newCredential: () => crypto.randomUUID(),
    loopback: mode === "none",
  });
  const agent = createAgent({
    jail,
    processes,
    now: Date.now,
    ...(shared === undefined ? {} : { shared }),
  });
  const run = async (wish: RunWish = {}): Promise<RunSeen> => {
    const { usdLimit = 5, spawned, heard, call, signal, ...request } = wish;
    const door = await gateway.open({ runId: "r1", usdLimit });
    const events: AgentEvent[] = [];
    const calls: ToolCall[] = [];
    let process: ProcessIdentity | null = null;
    const report = await agent.run(
      { ...defaults(clone, home), ...request, door },
      {
        async spawned(identity) {
          process = identity;
          await spawned?.(identity);
        },
        heard(event) {
          events.push(event);
          heard?.(event);
        },
        call(one, id) {
          calls.push(one);
          return call?.(one, id) ?? Promise.resolve({ ok: true, text: "done" });
        },
      },
      signal ?? new AbortController().signal,
    );
    await door.close();
    return { report, events, calls, process, door };
  };
  return {
    dir,
    clone,
    home,
    endpoint,
    processes,
    main: () => endpoint.requests.filter((request) => request.main),
    script(next) {
      respond = next;
    },
    agent,
    run,
    async [Symbol.asyncDispose]() {
      await gateway.stop();
      await endpoint.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

const defaults = (clone: string, home: string): Omit<AgentRequest, "door"> => ({
  runId: "r1",
  model: "claude-opus-5-5",
  clone,
  home,
  session: { id: crypto.randomUUID(), resume: false },
  system: "You are boss, a colleague on the project acme/widgets.",
  prompt: "claude-hooks: implement acme/widgets#1 as boss, run r1, start\n\nDo it.",
  profile: "author",
  tools: ["open_pull_request", "reply", "ask_human"],
  egressSocket: null,
  read: [],
  limits: { usd: 5, turns: 50 },
});

/** A jail's view of the clone and the home for tests that need no model. */
export const bareSpec = (clone: string, home: string): JailSpec => ({
  clone,
  home,
  gatewaySocket: null,
  egressSocket: null,
  read: [],
  env: {},
});

/** Runs git for a test, away from the configuration of whoever runs the tests. */
export async function git(cwd: string, args: readonly string[]): Promise<string> {
  const { PATH = "/usr/bin:/bin" } = process.env;
  const child = Bun.spawn(["git", ...args], {
    cwd,
    env: {
      PATH,
      GIT_CONFIG_GLOBAL: "/dev/null",
      GIT_CONFIG_NOSYSTEM: "1",
    },
    stderr: "pipe",
  });
  const [out, error, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code !== 0) throw new Error(`git ${args.join(" ")}: ${error}`);
  return out.trim();
}
