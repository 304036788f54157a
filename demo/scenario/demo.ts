import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { createJail } from "../../src/sandbox/create-jail.ts";
import { respondToWidgets } from "../model/widgets-script.ts";
import type { LogLine, RunningService } from "./service.ts";
import { eventOf, type StoryEvent } from "./story.ts";
import { type Api, ISSUE, REPO } from "./widgets.ts";
import { startWorld, type World } from "./world.ts";

const STORY_MS_MAX = 60_000;
const LIVE_MS_MAX = 15 * 60_000;

/** How the story is played. */
export interface DemoOptions {
  readonly dir: string;
  /** A real key: then the model is the real one. */
  readonly liveKey: string | null;
  readonly onEvent: (event: StoryEvent) => void;
  readonly onNote: (note: string) => void;
  /** Text of further keys of the service's configuration. */
  readonly more?: string;
}

/** What came of it. */
export interface DemoResult {
  /** The pull request the forge shows as merged, or null. */
  readonly pull: number | null;
  readonly problem: string | null;
  readonly admin: string | null;
  /** Null when not everything could be started. */
  readonly world: World | null;
  stop(): Promise<void>;
}

/** Tells the story of one issue on an embedded forge with the real service; never throws for a story that fails. */
export async function playDemo(options: DemoOptions): Promise<DemoResult> {
  let failure: string | null = null;
  let world: World | null = null;
  const stop = async (): Promise<void> => await world?.stop();
  try {
    world = await startWorld({
      dir: options.dir,
      respond: options.liveKey === null ? respondToWidgets : null,
      modelKey: options.liveKey ?? "sk-scripted-model",
      sandbox: await sandboxFor(options),
      sweepSeconds: 60,
      more: options.more ?? "",
      onLog: (line) => {
        if (process.env["DEMO_LOG"] === "1") console.error(JSON.stringify(line));
        const event = eventOf(line);
        if (event !== null) options.onEvent(event);
        failure ??= failureIn(line);
      },
    });
    const { api, service } = world;
    options.onNote(`dashboard ${service.admin} (token in ${join(options.dir, "secrets/admin")})`);
    await api("alice", "POST", `/repos/${REPO}/issues`, { ...ISSUE, assignees: ["boss"] });
    options.onNote("alice     creates issue #1 and assigns boss");
    const limit = options.liveKey === null ? STORY_MS_MAX : LIVE_MS_MAX;
    const ending = await waitForEnd({ api, service, limit, failed: () => failure });
    return { ...ending, admin: service.admin, world, stop };
  } catch (error) {
    await stop();
    const problem = error instanceof Error ? error.message : String(error);
    return { pull: null, problem, admin: null, world: null, stop };
  }
}

async function sandboxFor(options: DemoOptions): Promise<"bwrap" | "none"> {
  const jail = createJail({ mode: "bwrap", dir: join(options.dir, "jail") });
  const check = await jail.check();
  if (check.ok) return "bwrap";
  const why = `no sandbox: ${check.problem} (${check.remedy})`;
  if (options.liveKey !== null) throw new Error(`${why}; a real model is not run without one`);
  options.onNote(`${why}; the demo goes on without`);
  return "none";
}

/** A run that failed for good, or a service that stumbles, ends the story at once. */
function failureIn(line: LogLine): string | null {
  if (line.msg === "run ended" && line["outcome"] !== "succeeded") {
    return `${String(line["agent"])} ${String(line["skill"])}: ${String(line["outcome"])} (${String(line["reason"])})`;
  }
  return null;
}

async function waitForEnd(story: {
  api: Api;
  service: RunningService;
  limit: number;
  failed: () => string | null;
}): Promise<{ pull: number | null; problem: string | null }> {
  const until = Date.now() + story.limit;
  let missing = "nothing happened";
  while (Date.now() < until) {
    const failure = story.failed();
    if (failure !== null) return { pull: null, problem: failure };
    const seen = await look(story.api, story.service);
    if (seen.pull !== null && seen.missing === null) return { pull: seen.pull, problem: null };
    missing = seen.missing ?? missing;
    await Bun.sleep(100);
  }
  return { pull: null, problem: `not done after ${story.limit / 1000} s: ${missing}` };
}

interface Pull {
  readonly number: number;
  readonly merged: boolean;
}

/** What the forge shows and what is left on disk: the story ends when all of it is as it must be. */
async function look(
  api: Api,
  service: RunningService,
): Promise<{ pull: number | null; missing: string | null }> {
  const pulls = (await api("alice", "GET", `/repos/${REPO}/pulls?state=all`)) as readonly Pull[];
  const merged = pulls.find((pull) => pull.merged);
  if (merged === undefined) return { pull: null, missing: "the pull request is not merged" };
  const issue = (await api("alice", "GET", `/repos/${REPO}/issues/1`)) as { state: string };
  if (issue.state !== "closed") return { pull: merged.number, missing: "the issue is not closed" };
  const branches = (await api("alice", "GET", `/repos/${REPO}/branches`)) as readonly {
    name: string;
  }[];
  if (branches.some(({ name }) => name === "boss/1")) {
    return { pull: merged.number, missing: "the branch is not deleted" };
  }
  if ((await entries(join(service.stateDir, "work", ...REPO.split("/")))).length > 0) {
    return { pull: merged.number, missing: "a clone is left" };
  }
  if ((await entries(join(service.stateDir, "claude", ...REPO.split("/")))).length > 0) {
    return { pull: merged.number, missing: "a session is left" };
  }
  return { pull: merged.number, missing: null };
}

async function entries(path: string): Promise<readonly string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw error;
  }
}

/** Removes what a demo has left on the disk. */
export async function removeDemo(dir: string): Promise<void> {
  await rm(dir, { recursive: true, force: true });
}
