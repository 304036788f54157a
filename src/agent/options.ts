import type {
  McpSdkServerConfigWithInstance,
  Options,
  SessionStore,
} from "@anthropic-ai/claude-agent-sdk";
import type { AgentRequest } from "../ports/agent.ts";
import { FORGE_SERVER } from "./forge-server.ts";
import { BUILT_IN, DISALLOWED } from "./tool-list.ts";

/** What the options need besides the request: where things are for the CLI, and what it is given. */
export interface OptionsContext {
  readonly inside: { readonly clone: string; readonly home: string; readonly gatewayUrl: string };
  /** Path of the CLI on the host. */
  readonly binary: string;
  readonly forge: McpSdkServerConfigWithInstance;
  readonly spawn: NonNullable<Options["spawnClaudeCodeProcess"]>;
  /** Where hosts share transcripts: what takes each line of this one. */
  readonly sessionStore: SessionStore | null;
}

/**
 * Longer than anything the service keeps: it deletes transcripts itself, by its own configuration.
 */
const CLEANUP_DAYS = 3650;

/**
 * The one place that says what the SDK is told (claude-agent-sdk 0.3.330); test/agent/options.test.ts
 * holds each line and its reason.
 */
export function agentOptions(request: AgentRequest, context: OptionsContext): Options {
  const builtIn = [...BUILT_IN[request.profile]];
  const { id, resume } = request.session;
  return {
    model: request.model,
    cwd: context.inside.clone,
    ...(resume ? { resume: id } : { sessionId: id }),
    pathToClaudeCodeExecutable: context.binary,
    spawnClaudeCodeProcess: context.spawn,
    env: environment(request, context),
    // Nothing in the checked-out branch configures the CLI: no settings, hooks, servers, CLAUDE.md.
    settingSources: [],
    strictMcpConfig: true,
    // Text of issues is text: no @path expansion, no slash commands.
    verbatimPrompts: true,
    // A custom prompt makes the first request a third smaller than the preset (measured).
    systemPrompt: { type: "custom", prompt: request.system, snapshot: true },
    tools: builtIn,
    allowedTools: [...builtIn, ...request.tools.map((tool) => `mcp__${FORGE_SERVER}__${tool}`)],
    disallowedTools: DISALLOWED,
    permissionMode: "dontAsk",
    // Confines the file tools to the clone; Bash could not be confined this way.
    ...(request.profile === "reader" ? { extraArgs: { restricted: null } } : {}),
    mcpServers: { [FORGE_SERVER]: context.forge },
    settings: {
      attribution: { commit: "", pr: "" },
      crossSessionInbound: "refuse",
      cleanupPeriodDays: CLEANUP_DAYS,
    },
    maxTurns: request.limits.turns,
    maxBudgetUsd: request.limits.usd,
    // Each delta is a sign of life for the stall watch.
    includePartialMessages: true,
    // Every line as it is written: by default one append at the end of a turn, which a kill loses.
    ...(context.sessionStore === null
      ? {}
      : { sessionStore: context.sessionStore, sessionStoreFlush: "eager" }),
  };
}

/** Built from nothing: the SDK's `env` replaces the service's environment, and so does the jail's. */
function environment(
  request: AgentRequest,
  { inside }: OptionsContext,
): Readonly<Record<string, string>> {
  return {
    LANG: "C.UTF-8",
    SHELL: "/bin/bash",
    CLAUDE_CONFIG_DIR: inside.home,
    ANTHROPIC_BASE_URL: inside.gatewayUrl,
    ANTHROPIC_API_KEY: request.door.credential,
    CLAUDE_AGENT_SDK_CLIENT_APP: "claude-hooks",
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
    // Resumable from the first message on, also after SIGKILL.
    CLAUDE_CODE_EAGER_FLUSH: "1",
    // A timeout kills instead of leaving the command behind in the background.
    CLAUDE_CODE_DISABLE_BACKGROUND_TASKS: "1",
    BASH_DEFAULT_TIMEOUT_MS: "300000",
    // Below the default of limits.stall_minutes: a long build must not look like a stalled agent.
    BASH_MAX_TIMEOUT_MS: "540000",
    CLAUDE_CODE_DISABLE_AUTO_MEMORY: "1",
    // A second lock on what verbatimPrompts closes.
    CLAUDE_CODE_DISABLE_FILE_MENTIONS: "1",
    // The work queue waits, not the CLI (its own ten tries take three minutes).
    CLAUDE_CODE_MAX_RETRIES: "2",
    CLAUDE_CODE_STARTUP_FAILURE_RESULTS: "1",
    // `git rebase --continue` must not wait for an editor, nor `git fetch` for a password.
    GIT_EDITOR: "true",
    GIT_TERMINAL_PROMPT: "0",
  };
}
