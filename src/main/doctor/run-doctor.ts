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
 */
export async function runDoctor(options: {
  readonly config: Config;
  readonly notices: readonly ConfigNotice[];
  readonly adminToken: string | null;
  readonly uid: number | null;
  /** The process's own environment. */
  readonly env: Record<string, string | undefined>;
}): Promise<readonly Finding[]> {
  const { config, notices, adminToken, uid, env } = options;
  directForLoopback(env);
  const findings = [
    ...checkSettings(config, notices),
    ...(await checkHost(config, uid)),
    ...(await checkModel(config)),
    ...(await checkForge(config, adminToken)),
  ];
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

async function checkForge(config: Config, adminToken: string | null): Promise<readonly Finding[]> {
  const { forge } = config;
  const inspectorOf = inspectForge({
    url: forge.url,
    ca: forge.ca?.pem ?? null,
    requestsPerSecond: forge.requestsPerSecond,
    timeoutMs: TIMEOUT_MS,
    now: Date.now,
    log: SILENT,
  });
  const server = await checkServer(config, inspectorOf);
  if (!server.isThere) {
    const question = ask("forge.rest", "are accounts and repositories in order?");
    return [...server.findings, question.unchecked("the forge does not answer")];
  }
  const agents = await checkAgents(config, inspectorOf);
  const parts: RepositoryParts = {
    known: agents.known,
    admin: adminToken === null ? null : inspectorOf(adminToken),
    hookTarget: await hookTargetOf(config),
  };
  return [...server.findings, ...agents.findings, ...(await checkRepositories(config, parts))];
}

async function checkRepositories(
  config: Config,
  parts: RepositoryParts,
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
    if (isSilent) {
      findings.push(question.unchecked("the forge has stopped answering"));
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
