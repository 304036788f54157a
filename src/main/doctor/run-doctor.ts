import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Config, secretsOf } from "../../config/config.ts";
import type { ConfigNotice } from "../../config/problem.ts";
import { inspectForge } from "../../forge/inspect-forge.ts";
import { JsonFailure, parseJson } from "../../json/parse.ts";
import { createRedactor } from "../../observe/redactor.ts";
import type { Log } from "../../ports/observe.ts";
import { directForLoopback } from "../direct-for-loopback.ts";
import { checkAgents } from "./check-agents.ts";
import type { HookTarget } from "./check-hooks.ts";
import { checkHost } from "./check-host.ts";
import { checkModel } from "./check-model.ts";
import { checkRepository, type RepositoryParts } from "./check-repository.ts";
import { checkServer } from "./check-server.ts";
import { checkSettings } from "./check-settings.ts";
import { ask, type Finding } from "./finding.ts";
import { startTimeLimit, TIME_RAN_OUT } from "./time-limit.ts";

const TIMEOUT_MS = 8_000;
/** Of the forge's answers only the findings are for people. */
const SILENT: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

/**
 * Looks at a whole set-up, with and without a running service, and changes nothing: not in the state
 * directory, not on the forge, and nothing is paid for. `adminToken` is of somebody who administrates the
 * repositories, or null. No secret stands in a finding; words of others are in it as they are, but for
 * control characters.
 *
 * The forge is asked for `limitMs` milliseconds; what it has not answered by then is not checked, and said to
 * be so. Host and model are asked meanwhile, each thing with a limit of its own: 40 s at most.
 */
export async function runDoctor(options: {
  readonly config: Config;
  readonly notices: readonly ConfigNotice[];
  readonly adminToken: string | null;
  readonly uid: number | null;
  /** The process's own environment. */
  readonly env: Record<string, string | undefined>;
  readonly limitMs: number;
}): Promise<readonly Finding[]> {
  const { config, notices, adminToken, uid, env, limitMs } = options;
  directForLoopback(env);
  const settings = checkSettings(config, notices);
  using limit = startTimeLimit(limitMs);
  const outside = await Promise.all([
    checkHost(config, uid),
    checkModel(config),
    checkForge(config, adminToken, limit.signal),
  ]);
  const findings = [...settings, ...outside.flat()];
  const redactor = createRedactor([
    ...secretsOf(config).map((secret) => secret.reveal()),
    ...(adminToken === null ? [] : [adminToken]),
  ]);
  return findings.map((finding) => ({
    ...finding,
    found: redactor.text(finding.found),
    remedy: finding.remedy === null ? null : redactor.text(finding.remedy),
  }));
}

async function checkForge(
  config: Config,
  adminToken: string | null,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const findings = await askForge(config, adminToken, signal);
  if (!signal.aborted) return findings;
  const question = ask("doctor.time", "did the forge answer everything in time?");
  const found = `${TIME_RAN_OUT}: what the forge had not answered by then is not checked`;
  const remedy = "look at why the forge is slow, or give it more time with --time-limit";
  return [...findings, question.problem(found, remedy)];
}

async function askForge(
  config: Config,
  adminToken: string | null,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const { forge } = config;
  const inspectorOf = inspectForge({
    url: forge.url,
    ca: forge.ca?.pem ?? null,
    requestsPerSecond: forge.requestsPerSecond,
    timeoutMs: TIMEOUT_MS,
    now: Date.now,
    log: SILENT,
    signal,
  });
  const server = await checkServer(config, inspectorOf);
  if (!server.isThere) {
    const question = ask("forge.rest", "are accounts and repositories in order?");
    const why = signal.aborted ? TIME_RAN_OUT : "the forge does not answer";
    return [...server.findings, question.unchecked(why)];
  }
  const agents = await checkAgents(config, inspectorOf);
  const parts: RepositoryParts = {
    known: agents.known,
    admin: adminToken === null ? null : inspectorOf(adminToken),
    hookTarget: await hookTargetOf(config),
  };
  const repositories = await checkRepositories(config, parts, signal);
  return [...server.findings, ...agents.findings, ...repositories];
}

async function checkRepositories(
  config: Config,
  parts: RepositoryParts,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  let isSilent = false;
  for (const repository of config.repositories) {
    const { pattern: repo } = repository;
    const question = ask("repository.access", "has the agent's account write access?", { repo });
    if (repo.endsWith("/*")) {
      findings.push(question.unchecked("an entry for all of an owner names no repository"));
      continue;
    }
    if (isSilent || signal.aborted) {
      const why = signal.aborted ? TIME_RAN_OUT : "the forge has stopped answering";
      findings.push(question.unchecked(why));
      continue;
    }
    const found = await checkRepository(repository, parts);
    findings.push(...found);
    // Each question to a forge that is gone takes its time, and there may be a thousand repositories.
    isSilent = found.every(({ state }) => state === "not_checked");
  }
  return findings;
}

async function hookTargetOf({ forge, webhook, stateDir }: Config): Promise<HookTarget> {
  const { listen, path } = webhook;
  const port = listen.port === 0 ? await runningPort(stateDir) : listen.port;
  return { kind: forge.kind, listen, port, path };
}

/** The port a running service has taken, or null. */
async function runningPort(stateDir: string): Promise<number | null> {
  try {
    const told = parseJson(await readFile(join(stateDir, "serve.json"), "utf8"));
    if (typeof told !== "object" || told === null || !("webhook" in told)) return null;
    const { webhook } = told;
    return typeof webhook === "string" && URL.canParse(webhook)
      ? Number(new URL(webhook).port)
      : null;
  } catch (error) {
    const isAbsent = error instanceof Error && "code" in error && error.code === "ENOENT";
    if (isAbsent || error instanceof JsonFailure) return null;
    throw error;
  }
}
