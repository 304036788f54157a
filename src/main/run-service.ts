import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Config, secretsOf } from "../config/config.ts";
import { countDeliveries } from "../intake/count-deliveries.ts";
import { createLog, standardError } from "../observe/log.ts";
import { createRedactor } from "../observe/redactor.ts";
import { createSecretScan } from "../observe/secret-scan.ts";
import { StoreFailure, type StoreFailureKind } from "../ports/store/failure.ts";
import { executeRun } from "../run/execute-run.ts";
import { loadPromptFiles } from "../run/prompt-files.ts";
import { createJail } from "../sandbox/create-jail.ts";
import { createWorkLoop } from "../work/loop.ts";
import type { SweepState } from "../work/sweep.ts";
import { announce } from "./announce.ts";
import { askAdministrators } from "./ask-administrators.ts";
import { createControl } from "./control.ts";
import { followPauseFile, wasPausedByFile } from "./follow-pause-file.ts";
import { untilSignal, withinShutdown } from "./lifecycle.ts";
import { noticeNewConfig } from "./look-again.ts";
import { openAdmin } from "./open-admin.ts";
import { openIntake } from "./open-intake.ts";
import { openParts } from "./open-parts.ts";
import { refuse } from "./refuse.ts";
import type { Replaced } from "./replaced.ts";
import { runDependencies } from "./run-dependencies.ts";
import type { ServiceStart } from "./service-start.ts";
import { upkeep } from "./upkeep.ts";
import { workDependencies } from "./work-dependencies.ts";

const EXIT_DONE = 0;
const LISTEN_CODES = ["EADDRINUSE", "EADDRNOTAVAIL", "EACCES", "EPERM"];
const STORE_REFUSES: readonly StoreFailureKind[] = ["open", "newer"];
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
  const known = secretsOf(config).map((secret) => secret.reveal());
  const redactor = createRedactor(known);
  const secrets = createSecretScan(known);
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
    return await run({
      ...{ config, jail, log, redactor, secrets, replaced },
      prompts: prompts.files,
    });
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

/** Opens everything, runs until the signal, and closes everything. */
async function run(start: ServiceStart): Promise<number> {
  // What is opened is closed again, the newest first, also when a later part does not start.
  await using open = new AsyncDisposableStack();
  const parts = await openParts(start, () => loop.wake(), open);
  const { config, store, own, owner, shared, pauseFile, now, log, audit } = parts;
  const work = workDependencies(parts);
  const runs = runDependencies(parts);
  const shutdown = new AbortController();
  const loop = createWorkLoop(work, {
    owner,
    limits: () => config.limits,
    run: async (claim) => await executeRun(claim, runs, control.ending()),
    draining: () => control.draining() || pauseFile.isOn(),
    resting: () => shared !== null && pauseFile.isOn(),
  });
  const control = createControl({ store, owner, wake: loop.wake, now, log });
  store.onWake(loop.wake);
  await store.work.reap(owner);
  await noticeNewConfig(store, config);

  const deliveries = countDeliveries(parts.metrics);
  const intake = openIntake({ config, store, now, metrics: deliveries, audit, log });
  open.defer(intake.stop);
  let sweep: SweepState = "running";
  const readiness = () => ({ ready: intake.isReady(), sweep });
  const admin = await openAdmin(parts, { control, deliveries: deliveries.counts, readiness }, open);
  await announce({ webhook: intake.listener.url, admin: admin.url }, parts, open);
  const wasOn = await wasPausedByFile(own);
  const { signal } = shutdown;
  loop.start();
  const beside = [
    askAdministrators(config, { administrators: parts.administrators, log, signal }),
    upkeep({
      ...{ config, work, owner, homes: parts.homes, transcripts: shared, signal },
      sessionsChanged: runs.sessionsChanged,
      onSweep: (state) => {
        sweep = state;
      },
    }),
    followPauseFile(parts, { wasOn, signal }),
  ];

  await untilSignal(log);
  log.info("stopping");
  shutdown.abort();
  control.stop();
  await withinShutdown(Promise.all([loop.drain(), ...beside]), log);
  // Until here the intake went on: what comes in the last moment is sent away.
  intake.close();
  await open.disposeAsync();
  log.info("stopped");
  return EXIT_DONE;
}
