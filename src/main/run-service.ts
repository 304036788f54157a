import { randomBytes, randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import packageFile from "../../package.json" with { type: "json" };
import { createAgent } from "../agent/create-agent.ts";
import { adminToken } from "../config/admin-token.ts";
import { type Config, policyFor, repositoryFor, secretsOf } from "../config/config.ts";
import { isPaused } from "../domain/decision.ts";
import type { Policy } from "../domain/policy.ts";
import { createForge } from "../forge/create-forge.ts";
import { createEgress } from "../gateway/create-egress.ts";
import { createGateway } from "../gateway/create-gateway.ts";
import { createGit } from "../git/create-git.ts";
import { createAdminListener } from "../http/admin-listener.ts";
import { countDeliveries } from "../intake/count-deliveries.ts";
import { createAudit } from "../observe/audit.ts";
import { createLog, standardError } from "../observe/log.ts";
import { createMetrics } from "../observe/metrics.ts";
import { createRedactor } from "../observe/redactor.ts";
import { createSecretScan } from "../observe/secret-scan.ts";
import type { Log } from "../ports/observe.ts";
import { StoreFailure, type StoreFailureKind } from "../ports/store.ts";
import type { RunDependencies } from "../run/dependencies.ts";
import { endOrphans } from "../run/end-orphans.ts";
import { executeRun } from "../run/execute-run.ts";
import { loadPromptFiles, type PromptFiles } from "../run/prompt-files.ts";
import { createJail } from "../sandbox/create-jail.ts";
import { createProcesses } from "../sandbox/create-processes.ts";
import { openSessionStore } from "../sessions/store.ts";
import { createAdministrators } from "../work/administrators.ts";
import type { WorkDependencies } from "../work/dependencies.ts";
import { createWorkLoop } from "../work/loop.ts";
import { oneAtATime } from "../work/one-at-a-time.ts";
import { createSnapshotReader } from "../work/read-snapshot.ts";
import type { SweepState } from "../work/sweep.ts";
import { watchForge } from "../work/watch-forge.ts";
import { askAdministrators } from "./ask-administrators.ts";
import { auditFile, auditNote } from "./audit-note.ts";
import { auditedStore, auditedWriters } from "./audited-store.ts";
import { createControl } from "./control.ts";
import { untilSignal, withinShutdown } from "./lifecycle.ts";
import { markAgain, noticeNewConfig } from "./look-again.ts";
import { openDatabase } from "./open-database.ts";
import { openGates } from "./open-gates.ts";
import { openIntake } from "./open-intake.ts";
import { createPauseFile, pause, watchPauseFile } from "./pause-file.ts";
import { prefixNotices } from "./prefixes.ts";
import { refuse } from "./refuse.ts";
import type { Replaced } from "./replaced.ts";
import { createSessionControl } from "./session-control.ts";
import { createSessionHomes } from "./session-homes.ts";
import { agentSettings, gitCredential, policiesOf, repositorySettings } from "./settings.ts";
import { makeSocketDir, writeServeFile } from "./state-files.ts";
import { upkeep } from "./upkeep.ts";

const EXIT_DONE = 0;
const LISTEN_CODES = ["EADDRINUSE", "EADDRNOTAVAIL", "EACCES", "EPERM"];
const STORE_REFUSES: readonly StoreFailureKind[] = ["open", "newer"];
/** Behind PgBouncer nobody hears that others have changed a session. */
const FOLLOW_EVERY_MS = 5000;
const PAUSED_BY_FILE = "paused_by_file";
const OWN_SKILLS = fileURLToPath(new URL("../../skills", import.meta.url));

/**
 * Builds the service from its configuration and runs it until it is told to stop; resolves with the
 * exit code. The caller holds the lock of the state directory, which exists.
 */
export async function runService(options: {
  readonly config: Config;
  readonly notices: readonly { readonly message: string }[];
  readonly env: Record<string, string | undefined>;
  readonly replaced?: Replaced;
}): Promise<number> {
  const { config, notices, env, replaced = {} } = options;
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
    return await run(config, { prompts: prompts.files, jail, log, redactor, replaced });
  } catch (error) {
    if (error instanceof StoreFailure && STORE_REFUSES.includes(error.kind)) {
      return refuse([error.message]);
    }
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
  readonly replaced: Replaced;
};

async function run(config: Config, parts: Parts): Promise<number> {
  const { log, redactor, replaced } = parts;
  const { stateDir } = config;
  // What is opened is closed again, the newest first, also when a later part does not start.
  await using open = new AsyncDisposableStack();
  const database = await openDatabase(config, {
    now: Date.now,
    warn: (message, fields) => log.warn("store", { reason: message, ...fields }),
  });
  open.defer(async () => await database.close());
  const { own, owner, shared } = database;
  // Leases, retry times and what is shown count by the clock of whatever keeps the leases.
  const now = database.store.now;
  const unaudited = replaced.store?.(database.store) ?? database.store;
  const audit = createAudit({
    file: auditFile(stateDir),
    now,
    redactor,
    log,
    note: auditNote(own),
  });
  open.defer(async () => await audit.close());
  await audit.start();
  audit.append("service_started", { version: packageFile.version, pid: process.pid });
  open.defer(() => audit.append("service_stopped", { pid: process.pid }));
  const store = auditedStore(unaudited, audit);
  const processes = replaced.processes?.(createProcesses()) ?? createProcesses();
  const survivors = await endOrphans({
    ...{ store, owner, processes, now, log },
    mark: parts.jail.mark,
  });
  const sessions = await openSessionStore({
    ...{ table: store.sessions, stateDir, now, log },
    isShared: shared !== null,
  });
  open.defer(async () => await sessions.mirror.close());
  // What other processes change has to reach this one's file, too.
  if (shared !== null) {
    store.onWake(() => sessions.mirror.changed());
    const following = setInterval(() => sessions.mirror.changed(), FOLLOW_EVERY_MS);
    open.defer(() => clearInterval(following));
  }
  const pauseFile = createPauseFile(stateDir);
  const pausedByFile = (): boolean => pauseFile.isOn();
  const metrics = createMetrics({
    queueWaiting: async () => (await store.work.waiting()).waiting,
    sessions: async () => await store.sessions.count(),
    gates: () => gates.names().map((name) => ({ name, closed: gates.isClosed(name) })),
  });
  const deliveries = countDeliveries(metrics);
  const socketDir = await makeSocketDir(stateDir);
  open.defer(async () => await rm(socketDir, { recursive: true, force: true }));
  const client = createForge({
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
  const forge = replaced.forge?.(client) ?? client;
  const policy = (repo: string): Policy | null => policyFor(config, repo);
  const reading = createSnapshotReader({ reader: forge.reader, store, policy, log });
  for (const { message } of prefixNotices(config, await store.prefixes.current())) {
    log.warn(message);
  }
  const gates = await openGates({
    config,
    store,
    ownGates: database.ownGates,
    forge,
    jail: parts.jail,
    wake: () => loop.wake(),
    now,
    log,
  });
  open.defer(async () => await gates.settled());
  const readSnapshot = watchForge(gates, auditedWriters(reading, audit));
  const git = createGit({
    stateDir,
    remoteUrl: (repo) => `${config.forge.url}/${repo}.git`,
    credential: (name) => gitCredential(config, name),
    caFile: config.forge.ca?.file ?? null,
    now,
    log,
  });
  for (const { item, agent, process } of survivors) {
    const clone = await git.use(item, agent);
    clone.child(() => processes.isAlive(process));
    clone.release();
  }
  const homes = createSessionHomes(stateDir, log);
  const agent = createAgent({
    jail: parts.jail,
    processes,
    now,
    ...(shared === null ? {} : { shared: { store: shared, log } }),
    ...(replaced.binary === undefined ? {} : { binary: replaced.binary }),
  });
  const sessionControl = createSessionControl({
    ...{ stateDir, store, sessions, shared, agent },
    home: homes.path,
    redact: redactor.text,
  });
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
  const administrators = createAdministrators({
    agents: () => config.agents,
    isAdministrator: async (agent, repo) => await forge.isAdministrator(agent, repo),
    ...{ now, log, audit },
  });
  const work: WorkDependencies = {
    forge,
    administrators: async (repo) => await administrators.of(repo),
    sweepReader: forge.sweepReader,
    git,
    store,
    policy,
    policies: () => policiesOf(config),
    agents: () => config.agents,
    readSnapshot,
    dropSessions: async (item) => await sessionControl.dropItem(item, "closed"),
    gates,
    chance: Math.random,
    now,
    log,
    metrics,
    audit,
    // Of several processes one may rest: what it would decide is no word about the items.
    pausedByFile: () => shared === null && pausedByFile(),
  };
  const secrets = createSecretScan(secretsOf(config).map((secret) => secret.reveal()));
  const runs: RunDependencies = {
    forge,
    git,
    agent,
    jail: parts.jail,
    processes,
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
    sessionHome: homes.path,
    readSnapshot,
    oneMerge: oneAtATime(),
    gates,
    chance: Math.random,
    now,
    newId: randomUUID,
    newFence: () => randomBytes(8).toString("hex"),
    log,
    metrics,
    audit,
    secrets,
    pausedByFile,
  };
  const shutdown = new AbortController();
  const loop = createWorkLoop(work, {
    owner,
    limits: () => config.limits,
    run: async (claim) => await executeRun(claim, runs, control.ending()),
    draining: () => control.draining() || pausedByFile(),
    resting: () => shared !== null && pausedByFile(),
  });
  const control = createControl({ store, owner, wake: () => loop.wake(), now, log });
  store.onWake(() => loop.wake());
  await store.work.reap(owner);
  await noticeNewConfig(store, config);

  const intake = openIntake({ config, store, now, metrics: deliveries, audit, log });
  open.defer(async () => await intake.stop());
  const token = await adminToken(config, randomBytes);
  redactor.add([token.reveal()]);
  secrets.add([token.reveal()]);
  let sweepState: SweepState = "running";
  const adminListener = createAdminListener({
    listen: config.admin.listen,
    hosts: config.admin.hosts,
    token: () => token.reveal(),
    now,
    store,
    sessions: sessionControl,
    isConfigured: (scope) =>
      scope.kind === "all" ||
      (scope.kind === "repo"
        ? repositoryFor(config, scope.repo) !== null
        : config.agents.some(({ name }) => name === scope.agent)),
    control: {
      pause: async (scope) => await pause(scope, { pauseFile, store, log }),
      ...control.words,
      resume: async (scope) => {
        if (scope.kind === "all") control.undrain();
        await store.work.pause(scope, false);
        if (scope.kind === "all") await pauseFile.remove();
        // What was decided while paused is asked again now, not at the next sweep.
        await markAgain(store, ({ reason }) => isPaused(reason));
      },
    },
    status: () => ({
      deliveries: deliveries.counts(),
      draining: control.draining(),
      pausedByFile: pausedByFile(),
      administrators: administrators.known(),
    }),
    gates,
    readiness: () => ({ ready: intake.isReady(), sweep: sweepState }),
    metricsText: async () => (await metrics.render()).body,
    audit,
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
    webhook: `${intake.listener.url}${config.webhook.path}`,
    admin: adminListener.url,
  });
  log.info("serving", { webhook: intake.listener.url, admin: adminListener.url, pid: process.pid });
  loop.start();
  const asking = askAdministrators(config, { administrators, log, signal: shutdown.signal });
  const keeping = upkeep({
    ...{ config, work, owner, homes, transcripts: shared, signal: shutdown.signal },
    sessionsChanged: () => sessions.mirror.changed(),
    onSweep: (state) => {
      sweepState = state;
    },
  });
  const watchingFile = watchPauseFile(pauseFile, {
    wasOn: (await own.get(PAUSED_BY_FILE)) === "1",
    changed: async (isOn) => {
      log.warn(
        isOn ? "everything is paused by the file in the state directory" : "the pause file is gone",
      );
      audit.append(isOn ? "paused_by_file" : "pause_file_gone", {});
      await own.set(PAUSED_BY_FILE, isOn ? "1" : "0");
      // What was decided meanwhile is asked again now, not at the next sweep.
      if (!isOn) await markAgain(store, ({ reason }) => isPaused(reason));
    },
    failed: (error) => log.warn("the pause file could not be followed", { reason: String(error) }),
    signal: shutdown.signal,
  });

  await untilSignal(log);
  log.info("stopping");
  shutdown.abort();
  control.stop();
  await withinShutdown(Promise.all([loop.drain(), keeping, watchingFile, asking]), log);
  // Until here the intake went on: what comes in the last moment is sent away.
  intake.close();
  await open.disposeAsync();
  log.info("stopped");
  return EXIT_DONE;
}
