import { randomBytes, randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import packageFile from "../../package.json" with { type: "json" };
import { createAgent } from "../agent/create-agent.ts";
import { readTranscript } from "../agent/read-transcript.ts";
import { adminToken } from "../config/admin-token.ts";
import { type Config, policyFor, repositoryFor, secretsOf } from "../config/config.ts";
import { isPaused } from "../domain/decision.ts";
import type { Policy } from "../domain/policy.ts";
import type { ItemRef } from "../domain/snapshot.ts";
import { createForge } from "../forge/create-forge.ts";
import { createEgress } from "../gateway/create-egress.ts";
import { createGateway } from "../gateway/create-gateway.ts";
import { createGit } from "../git/create-git.ts";
import { removeTree } from "../git/remove-tree.ts";
import { createAdminListener } from "../http/admin-listener.ts";
import { createPublicListener } from "../http/public-listener.ts";
import { countDeliveries } from "../intake/count-deliveries.ts";
import { createIntake } from "../intake/create-intake.ts";
import { createAudit } from "../observe/audit.ts";
import { createLog, standardError } from "../observe/log.ts";
import { createMetrics } from "../observe/metrics.ts";
import { createRedactor } from "../observe/redactor.ts";
import type { Log } from "../ports/observe.ts";
import type { SessionDrop } from "../ports/store.ts";
import type { RunDependencies } from "../run/dependencies.ts";
import { endOrphans } from "../run/end-orphans.ts";
import { executeRun } from "../run/execute-run.ts";
import { loadPromptFiles, type PromptFiles } from "../run/prompt-files.ts";
import { createJail } from "../sandbox/create-jail.ts";
import { createProcesses } from "../sandbox/create-processes.ts";
import { sessionKey } from "../sessions/key.ts";
import { dropAllForIssue, dropSession, openSessionStore } from "../sessions/store.ts";
import { openStore } from "../store/open-store.ts";
import type { WorkDependencies } from "../work/dependencies.ts";
import { createWorkLoop } from "../work/loop.ts";
import { oneAtATime } from "../work/one-at-a-time.ts";
import { createSnapshotReader } from "../work/read-snapshot.ts";
import type { SweepState } from "../work/sweep.ts";
import { sweepForEver, untilSignal, withinShutdown } from "./lifecycle.ts";
import { markAgain, noticeNewConfig, ownerOf } from "./look-again.ts";
import { refuse } from "./refuse.ts";
import { agentSettings, gitCredential, namedPolicies, repositorySettings } from "./settings.ts";
import { makeSocketDir, writeServeFile } from "./state-files.ts";

const EXIT_DONE = 0;
const LISTEN_CODES = ["EADDRINUSE", "EADDRNOTAVAIL", "EACCES", "EPERM"];
const WAITING_REFRESH_MS = 200;
const OWN_SKILLS = fileURLToPath(new URL("../../skills", import.meta.url));

/**
 * Builds the service from its configuration and runs it until it is told to stop; resolves with the
 * exit code. The caller holds the lock of the state directory, which exists.
 */
export async function runService(options: {
  readonly config: Config;
  readonly notices: readonly { readonly message: string }[];
  readonly env: Record<string, string | undefined>;
}): Promise<number> {
  const { config, notices, env } = options;
  const directories = config.skillsDir === null ? [OWN_SKILLS] : [config.skillsDir, OWN_SKILLS];
  const prompts = await loadPromptFiles(directories);
  if (!prompts.ok) {
    return refuse(
      prompts.problems.map(({ file, problem, remedy }) => `prompt ${file} ${problem}: ${remedy}`),
    );
  }
  const jail = createJail({ mode: config.sandbox, dir: join(config.stateDir, "jail") });
  const check = await jail.check();
  if (!check.ok)
    return refuse([`sandbox.mode ${config.sandbox}: ${check.problem}: ${check.remedy}`]);
  const redactor = createRedactor(secretsOf(config).map((secret) => secret.reveal()));
  const isTerminal = process.stderr.isTTY === true;
  const log = createLog({
    redactor,
    format: isTerminal ? "pretty" : "json",
    colour: isTerminal && (env["NO_COLOR"] ?? "") === "",
    level: env["CLAUDE_HOOKS_LOG"] === "debug" ? "debug" : "info",
    stream: standardError(),
  });
  for (const { message } of notices) log.warn(message);
  if (config.sandbox === "none") {
    log.warn("sandbox.mode is none: agents run without walls on this host");
  }
  try {
    return await run(config, { prompts: prompts.files, jail, log, redactor });
  } catch (error) {
    // Bun's words for a taken or foreign address; everything else is a bug and stays an exception.
    if (
      !(error instanceof Error) ||
      !("code" in error) ||
      !LISTEN_CODES.includes(String(error.code))
    )
      throw error;
    const { webhook, admin } = config.document;
    return refuse([
      `webhook.listen is ${webhook.listen}, admin.listen is ${admin.listen}: ${error.message} Name free addresses of this host`,
    ]);
  }
}

type Parts = {
  readonly prompts: PromptFiles;
  readonly jail: ReturnType<typeof createJail>;
  readonly log: Log;
  readonly redactor: ReturnType<typeof createRedactor>;
};

async function run(config: Config, parts: Parts): Promise<number> {
  const { log, redactor } = parts;
  const now = Date.now;
  const { stateDir } = config;
  // What is opened is closed again, the newest first, also when a later part does not start.
  await using open = new AsyncDisposableStack();
  const store = await openStore({
    path: join(stateDir, "claude-hooks.db"),
    now,
    warn: (message) => log.warn("store", { reason: message }),
  });
  open.defer(async () => await store.close());
  const processes = createProcesses();
  await endOrphans({ store, processes, now, log });
  const sessions = await openSessionStore({ table: store.sessions, stateDir, now, log });
  open.defer(async () => await sessions.mirror.close());
  const audit = createAudit({ file: join(stateDir, "audit.jsonl"), now, redactor, log });
  open.defer(async () => await audit.close());
  const metrics = createMetrics({
    queueWaiting: async () => (await store.work.waiting()).waiting,
    sessions: async () => await store.sessions.count(),
  });
  const deliveries = countDeliveries(metrics);
  const socketDir = await makeSocketDir(stateDir);
  open.defer(async () => await rm(socketDir, { recursive: true, force: true }));
  const forge = createForge({
    url: config.forge.url,
    ca: config.forge.ca?.pem ?? null,
    agents: config.agents.map(({ name, login, token }) => ({
      name,
      login,
      token: () => token.reveal(),
    })),
    readerAgent: config.agents[0]?.name ?? "",
    requestsPerSecond: config.forge.requestsPerSecond,
    kind: config.forge.kind,
    now,
    log,
  });
  const policy = (repo: string): Policy | null => policyFor(config, repo);
  const readSnapshot = createSnapshotReader({ reader: forge.reader, store, policy });
  const git = createGit({
    stateDir,
    remoteUrl: (repo) => `${config.forge.url}/${repo}.git`,
    credential: (name) => gitCredential(config, name),
    caFile: config.forge.ca?.file ?? null,
    now,
    log,
  });
  const sessionHome = (item: ItemRef, agent: string): string =>
    join(stateDir, "claude", item.repo, `${item.number}`, agent);
  const dropTranscripts = async (item: ItemRef): Promise<void> => {
    await removeTree(join(stateDir, "claude", item.repo, `${item.number}`));
  };
  const dropSessions = async (item: ItemRef, why: SessionDrop): Promise<number> => {
    const all = await store.sessions.all();
    const of = all.filter(({ repo, number }) => repo === item.repo && number === item.number);
    await store.conversations.ending(
      of.map(({ key }) => key),
      why,
    );
    const dropped = await dropAllForIssue(sessions, item.repo, item.number);
    await dropTranscripts(item);
    return dropped;
  };
  const gateway = createGateway({
    dir: socketDir,
    upstream: config.model.baseUrl,
    credential: {
      kind: config.model.credential.kind,
      value: config.model.credential.secret.reveal(),
    },
    now,
    newCredential: () => `sk-run-${randomBytes(24).toString("hex")}`,
    loopback: config.sandbox === "none",
  });
  open.defer(async () => await gateway.stop());
  const work: WorkDependencies = {
    forge,
    sweepReader: forge.sweepReader,
    git,
    store,
    policy,
    policies: () => namedPolicies(config),
    agents: () => config.agents,
    readSnapshot,
    dropSessions: async (item) => await dropSessions(item, "closed"),
    now,
    log,
    metrics,
    audit,
  };
  const runs: RunDependencies = {
    forge,
    git,
    agent: createAgent({ jail: parts.jail, processes, now }),
    jail: parts.jail,
    gateway,
    egress: createEgress({
      dir: socketDir,
      onRefused: (destination, reason) => {
        audit.append("egress_refused", { destination, reason });
      },
    }),
    store,
    sessionsChanged: () => sessions.mirror.changed(),
    prompts: () => parts.prompts,
    repository: (repo) => repositorySettings(config, repo),
    agentSettings: (name) => agentSettings(config, name),
    sessionHome,
    readSnapshot,
    oneMerge: oneAtATime(),
    now,
    newId: randomUUID,
    newFence: () => randomBytes(8).toString("hex"),
    log,
    metrics,
  };
  const shutdown = new AbortController();
  const owner = await ownerOf(store);
  const loop = createWorkLoop(work, {
    owner,
    limits: () => config.limits,
    run: async (claim) => await executeRun(claim, runs, shutdown.signal),
  });
  store.onWake(() => loop.wake());
  await store.work.reap(owner);
  await noticeNewConfig(store, config);

  let closing = false;
  let waiting = 0;
  const refresh = setInterval(() => {
    store.work.waiting().then(
      (queue) => {
        waiting = queue.waiting;
      },
      (error: unknown) => log.warn("the queue could not be counted", { reason: String(error) }),
    );
  }, WAITING_REFRESH_MS);
  open.defer(() => clearInterval(refresh));
  const intake = createIntake({
    kind: config.forge.kind,
    path: config.webhook.path,
    secrets: () => config.webhook.secrets.map((secret) => Buffer.from(secret.reveal())),
    bodyBytes: config.limits.bodyBytes,
    queueLimit: config.limits.queue,
    waiting: () => waiting,
    closing: () => closing,
    agents: () => config.agents,
    concerns: (repo) => repositoryFor(config, repo) !== null,
    deliveries: store.deliveries,
    now,
    metrics: deliveries,
    audit,
    log,
  });
  const publicListener = createPublicListener({
    listen: config.webhook.listen,
    intake,
    log,
  });
  open.defer(async () => await publicListener.stop(true));
  const token = await adminToken(config, randomBytes);
  redactor.add([token.reveal()]);
  let sweepState: SweepState = "running";
  const adminListener = createAdminListener({
    listen: config.admin.listen,
    hosts: config.admin.hosts,
    token: () => token.reveal(),
    now,
    store,
    sessions: {
      reset: async (agent, repo, number) => {
        const item: ItemRef = {
          repo: repo.toLowerCase(),
          number: (await store.pulls.itemOf(repo.toLowerCase(), number)) ?? number,
        };
        const { runs: known } = await store.ledger.read(item);
        if (known.some((one) => one.agent === agent && one.endedAt === null)) return "running";
        const key = sessionKey(agent, item.repo, item.number);
        await store.conversations.ending([key], "reset");
        const existed = await dropSession(sessions, key);
        await removeTree(sessionHome(item, agent));
        return existed;
      },
      resetItem: async (item) => {
        const { runs: known } = await store.ledger.read(item);
        if (known.some(({ endedAt }) => endedAt === null)) return "running";
        return await dropSessions(item, "reset");
      },
      transcript: async ({ agent, repo, number, sessionId }) =>
        await readTranscript(sessionHome({ repo, number }, agent), sessionId, redactor.text),
    },
    control: {
      pause: async (scope) => await store.work.pause(scope, true),
      resume: async (scope) => {
        await store.work.pause(scope, false);
        // What was decided while paused is asked again now, not at the next sweep.
        await markAgain(store, ({ reason }) => isPaused(reason));
      },
    },
    status: () => ({ deliveries: deliveries.counts() }),
    readiness: () => ({ ready: !closing, sweep: sweepState }),
    metricsText: async () => (await metrics.render()).body,
    version: packageFile.version,
    log,
  });
  open.defer(async () => await adminListener.stop(true));
  const serveFile = join(stateDir, "serve.json");
  open.defer(async () => await rm(serveFile, { force: true }));
  await writeServeFile(serveFile, {
    pid: process.pid,
    version: packageFile.version,
    started_at: new Date(now()).toISOString(),
    webhook: `${publicListener.url}${config.webhook.path}`,
    admin: adminListener.url,
  });
  log.info("serving", { webhook: publicListener.url, admin: adminListener.url, pid: process.pid });
  loop.start();
  const sweeping = sweepForEver({
    deps: work,
    everyMs: config.sweepSeconds * 1000,
    signal: shutdown.signal,
    onState: (state) => {
      sweepState = state;
    },
  });

  await untilSignal(log);
  log.info("stopping");
  shutdown.abort();
  await withinShutdown(Promise.all([loop.drain(), sweeping]), log);
  // Until here the intake went on: what comes in the last moment is sent away.
  closing = true;
  await open.disposeAsync();
  log.info("stopped");
  return EXIT_DONE;
}
