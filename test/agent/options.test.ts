import { describe, expect, test } from "bun:test";
import type { SessionStore } from "@anthropic-ai/claude-agent-sdk";
import { createForgeServer } from "../../src/agent/forge-server.ts";
import { agentOptions } from "../../src/agent/options.ts";
import type { AgentRequest } from "../../src/ports/agent.ts";

const request: AgentRequest = {
  runId: "r1",
  model: "claude-opus-5-5",
  clone: "/state/work/acme/widgets/1/boss",
  home: "/state/claude/acme/widgets/1/boss",
  session: { id: "0b0e7f0e-6a4f-4a53-8f0e-0123456789ab", resume: false },
  system: "You are boss.",
  prompt: "claude-hooks: implement acme/widgets#1 as boss, run r1, start",
  profile: "author",
  tools: ["open_pull_request", "reply"],
  door: {
    socket: "/state/gw/g1.sock",
    url: null,
    credential: "dummy-credential",
    meter: () => ({
      tokens: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 },
      usd: 0,
      requests: 0,
      contextTokens: 0,
      retryAt: null,
    }),
    close: () => Promise.resolve(),
  },
  egressSocket: null,
  read: [],
  limits: { usd: 5, turns: 40 },
};

const forge = createForgeServer([], () => Promise.resolve({ ok: true, text: "" }));
const optionsOf = (wish: Partial<AgentRequest> = {}, sessionStore: SessionStore | null = null) =>
  agentOptions(
    { ...request, ...wish },
    {
      inside: { clone: "/clone", home: "/home/agent", gatewayUrl: "http://127.0.0.1:8080" },
      binary: "/opt/cli/claude",
      forge,
      sessionStore,
      spawn: () => {
        throw new Error("not in this test");
      },
    },
  );

describe("the options of every query", () => {
  test.each([
    [
      "nothing of the branch configures the CLI: default sources run its hooks",
      "settingSources",
      [],
    ],
    ["no server of the branch's .mcp.json is started", "strictMcpConfig", true],
    ["an issue's @/etc/passwd stays text, and so does a leading slash", "verbatimPrompts", true],
    ["what is not allowed is denied, nobody is asked", "permissionMode", "dontAsk"],
    ["the default model depends on the kind of credential", "model", "claude-opus-5-5"],
    ["transcripts name the same path on every host", "cwd", "/clone"],
    ["the program is the pinned one", "pathToClaudeCodeExecutable", "/opt/cli/claude"],
    ["a run has an end", "maxTurns", 40],
    ["and a price", "maxBudgetUsd", 5],
    ["deltas are the sign of life while a long answer is written", "includePartialMessages", true],
    [
      "a custom prompt is smaller, and recorded so that a resume repeats it",
      "systemPrompt",
      { type: "custom", prompt: "You are boss.", snapshot: true },
    ],
    [
      "no advertising in commits, no messages from other agents, and the service deletes transcripts itself",
      "settings",
      {
        attribution: { commit: "", pr: "" },
        crossSessionInbound: "refuse",
        cleanupPeriodDays: 3650,
      },
    ],
    ["the service's tools come from a server of this query", "mcpServers", { forge }],
  ] as const)("%s", (_reason, name, value) => {
    expect(optionsOf()[name]).toEqual(value as never);
  });

  test("the id is ours from the start; a resume names it and nothing else does", () => {
    const { id } = request.session;

    const fresh = optionsOf();
    const resumed = optionsOf({ session: { id, resume: true } });

    expect([fresh.sessionId, fresh.resume]).toEqual([id, undefined]);
    expect([resumed.sessionId, resumed.resume]).toEqual([undefined, id]);
  });

  test("an author has six tools and those of its skill", () => {
    const options = optionsOf();

    expect(options.tools).toEqual(["Bash", "Read", "Edit", "Write", "Grep", "Glob"]);
    expect(options.allowedTools).toEqual([
      ...["Bash", "Read", "Edit", "Write", "Grep", "Glob"],
      ...["mcp__forge__open_pull_request", "mcp__forge__reply"],
    ]);
    expect(options.extraArgs).toBeUndefined();
  });

  test("a shared transcript is written line by line; without one there is nothing to write to", () => {
    const sessionStore: SessionStore = { append: async () => undefined, load: async () => null };

    expect(optionsOf({}, sessionStore)).toMatchObject({ sessionStore, sessionStoreFlush: "eager" });
    expect(optionsOf()).not.toContainKeys(["sessionStore", "sessionStoreFlush"]);
  });

  test("a reader only reads, and only in the clone", () => {
    const options = optionsOf({ profile: "reader", tools: ["submit_review"] });

    expect(options.tools).toEqual(["Read", "Grep", "Glob"]);
    expect(options.allowedTools).toEqual(["Read", "Grep", "Glob", "mcp__forge__submit_review"]);
    expect(options.extraArgs).toEqual({ restricted: null });
  });

  test("the disallowed tools are the same for everybody: a change would empty the cache", () => {
    const author = optionsOf().disallowedTools;

    expect(optionsOf({ profile: "reader", tools: [] }).disallowedTools).toEqual(author);
    expect(author).toEqual(
      expect.arrayContaining(["SendMessage", "ListAgents", "WebFetch", "WebSearch"]),
    );
  });

  test("the environment is built from nothing and holds no secret but the run's own", () => {
    expect(optionsOf().env).toEqual({
      LANG: "C.UTF-8",
      SHELL: "/bin/bash",
      CLAUDE_CONFIG_DIR: "/home/agent",
      ANTHROPIC_BASE_URL: "http://127.0.0.1:8080",
      ANTHROPIC_API_KEY: "dummy-credential",
      CLAUDE_AGENT_SDK_CLIENT_APP: "claude-hooks",
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
      CLAUDE_CODE_EAGER_FLUSH: "1",
      CLAUDE_CODE_DISABLE_BACKGROUND_TASKS: "1",
      BASH_DEFAULT_TIMEOUT_MS: "300000",
      BASH_MAX_TIMEOUT_MS: "540000",
      CLAUDE_CODE_DISABLE_AUTO_MEMORY: "1",
      CLAUDE_CODE_DISABLE_FILE_MENTIONS: "1",
      CLAUDE_CODE_MAX_RETRIES: "2",
      CLAUDE_CODE_STARTUP_FAILURE_RESULTS: "1",
      GIT_EDITOR: "true",
      GIT_TERMINAL_PROMPT: "0",
    });
  });
});
