import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findBinary } from "../../agent/find-binary.ts";
import type { Config } from "../../config/config.ts";
import { gitVersion } from "../../git/git-version.ts";
import { GitFailure } from "../../ports/git.ts";
import { StoreFailure } from "../../ports/store/failure.ts";
import { createJail } from "../../sandbox/create-jail.ts";
import { lookAtPostgres } from "../../store/prepare-postgres.ts";
import { lookAtStateDir } from "../check-state-dir.ts";
import { ask, type Finding } from "./finding.ts";

/** Settings of a call by environment came with this version (git: Documentation/RelNotes/2.31.0.txt). */
const GIT_MIN = [2, 31];

/** What this host is asked about: the state directory, the programs, the sandbox, the database. */
export async function checkHost(config: Config, uid: number | null): Promise<readonly Finding[]> {
  return [
    await checkDirectory(config.stateDir, uid),
    await checkDatabase(config),
    await checkGit(),
    checkClaude(),
    await checkSandbox(config),
  ];
}

async function checkDirectory(stateDir: string, uid: number | null): Promise<Finding> {
  const question = ask("host.state_dir", "is the state directory the service's own?");
  try {
    await stat(stateDir);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") {
      return question.ok(`${stateDir} does not exist yet; the first start makes it`);
    }
    return question.problem(String(error), "let it belong to the user of the service");
  }
  try {
    const { problem, isOpen } = lookAtStateDir(stateDir, uid);
    if (problem !== null) {
      return question.problem(problem, "run doctor as the user of the service, and do as it says");
    }
    if (!isOpen) return question.ok(`${stateDir} is the service's own`);
    return question.warning(
      `others may look into ${stateDir}; the next start ends that`,
      `chmod 700 ${stateDir}`,
    );
  } catch (error) {
    return question.problem(String(error), "run doctor as the user of the service");
  }
}

async function checkDatabase({ database, stateDir }: Config): Promise<Finding> {
  const question = ask("host.database", "can the database be used?");
  // What lies in it is read for the prefixes of the sessions.
  if (database === null) return question.ok(`SQLite in ${stateDir}`);
  try {
    return question.ok(`PostgreSQL ${await lookAtPostgres(database.reveal())} lets the service in`);
  } catch (error) {
    if (!(error instanceof StoreFailure)) throw error;
    return question.problem(error.message, "mend it before the next start, which would be refused");
  }
}

async function checkGit(): Promise<Finding> {
  const question = ask("host.git", "is git there, and new enough?");
  try {
    const version = await gitVersion();
    const [major = 0, minor = 0] = version.split(".").map(Number);
    const [minMajor = 0, minMinor = 0] = GIT_MIN;
    if (major > minMajor || (major === minMajor && minor >= minMinor)) {
      return question.ok(`git ${version}`);
    }
    return question.problem(`git ${version}`, `install git ${GIT_MIN.join(".")} or newer`);
  } catch (error) {
    if (!(error instanceof GitFailure)) throw error;
    return question.problem("git does not start", "apt-get install git");
  }
}

function checkClaude(): Finding {
  const question = ask("host.claude", "is the program that agents run there?");
  const path = findBinary();
  return path === null
    ? question.problem(
        "the Agent SDK has no program for this system",
        "run script/setup again, so that optional packages are installed, too",
      )
    : question.ok(path);
}

/** In a directory of its own: nothing is written to the state directory, beside which a service may run. */
async function checkSandbox({ sandbox }: Config): Promise<Finding> {
  const question = ask("host.sandbox", "do the walls around agents hold on this host?");
  const dir = await mkdtemp(join(tmpdir(), "claude-hooks-doctor-"));
  try {
    const check = await createJail({ mode: sandbox, dir }).check();
    if (!check.ok) return question.problem(check.problem, check.remedy);
    if (sandbox === "bwrap") return question.ok("a command started behind them saw nothing else");
    return question.warning(
      "sandbox.mode is none: agents run without walls on this host",
      "write sandbox: { mode: bwrap }",
    );
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}
