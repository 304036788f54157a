import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { writeConfig } from "../../demo/scenario/service.ts";
import { AGENTS, REPO } from "../../demo/scenario/widgets.ts";
import { openStore } from "../../src/store/open-store.ts";
import { startLife } from "../chaos/service.ts";

const MARKS_AT_ONCE = 1000;
/** Nothing listens there: what is ready does not wait for the forge. */
const NO_FORGE = "http://127.0.0.1:9";
const MODULES = ["../../src/main.ts", "../../src/main/run-service.ts"].map((path) =>
  fileURLToPath(new URL(path, import.meta.url)),
);

/** Milliseconds from the start of a process, over all rounds. */
interface Times {
  readonly least: number;
  readonly median: number;
}

export interface RestartTimes {
  /** To the end of one that only loads the service's modules. */
  readonly floor: Times;
  /** To the service taking in deliveries, with nothing in its database. */
  readonly empty: Times;
  /** The same with `rows` work items waiting to be looked at. */
  readonly waiting: Times;
}

/** Starts and kills the service in turns with its floor, so that all three meet the same machine. */
export async function timeRestarts(rounds: number, rows: number): Promise<RestartTimes> {
  const dir = await mkdtemp(join(tmpdir(), "ch-restart-"));
  try {
    const places = {
      empty: await placeIn(dir, "empty", 0),
      full: await placeIn(dir, "full", rows),
    };
    const times = { floor: [] as number[], empty: [] as number[], waiting: [] as number[] };
    for (let round = 0; round < rounds; round += 1) {
      times.floor.push(await floor(dir));
      times.empty.push(await ready(places.empty));
      times.waiting.push(await ready(places.full));
    }
    return {
      floor: timesOf(times.floor),
      empty: timesOf(times.empty),
      waiting: timesOf(times.waiting),
    };
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

async function placeIn(dir: string, name: string, rows: number): Promise<string> {
  const place = join(dir, name);
  await mkdir(join(place, "state"), { recursive: true, mode: 0o700 });
  await writeConfig({
    dir: place,
    forgeUrl: NO_FORGE,
    tokens: new Map(AGENTS.map((agent) => [agent, `token-of-${agent}`])),
    webhookSecret: "0123456789abcdef0123456789abcdef",
    model: { baseUrl: NO_FORGE, key: "sk-none" },
    sandbox: "bwrap",
    sweepSeconds: 3600,
    onLog: () => undefined,
  });
  const store = await openStore({ path: join(place, "state/claude-hooks.db"), now: Date.now });
  for (let from = 1; from <= rows; from += MARKS_AT_ONCE) {
    const numbers = Array.from(
      { length: Math.min(MARKS_AT_ONCE, rows - from + 1) },
      (_, i) => from + i,
    );
    const marks = numbers.map((number) => ({
      repo: REPO,
      target: { kind: "number" as const, number },
    }));
    await store.work.mark(marks, true);
  }
  await store.close();
  return place;
}

async function floor(dir: string): Promise<number> {
  const began = performance.now();
  const code = MODULES.map((path) => `await import(${JSON.stringify(path)});`).join("");
  const child = Bun.spawn([process.execPath, "-e", code], { cwd: dir, stdout: "ignore" });
  if ((await child.exited) !== 0) throw new Error("the modules of the service cannot be loaded");
  return performance.now() - began;
}

async function ready(place: string): Promise<number> {
  const began = performance.now();
  const life = startLife({
    dir: place,
    configPath: join(place, "claude-hooks.yaml"),
    binary: "",
    weakness: null,
    onLine: () => undefined,
  });
  try {
    await life.ready();
    return performance.now() - began;
  } finally {
    process.kill(life.pid, "SIGKILL");
    await life.exited;
  }
}

function timesOf(values: readonly number[]): Times {
  const sorted = [...values].sort((a, b) => a - b);
  return {
    least: sorted[0] ?? Number.NaN,
    median: sorted[Math.floor(sorted.length / 2)] ?? Number.NaN,
  };
}
