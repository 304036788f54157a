import { closeSync, fdatasyncSync, openSync, writeSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Log } from "../src/ports/observe.ts";
import type { SessionRow } from "../src/ports/store/sessions.ts";
import { openSessionStore, type SessionStore, setSession } from "../src/sessions/store.ts";
import { openStore } from "../src/store/open-store.ts";
import { median } from "./median.ts";

const FEW = 10;
const MANY = 100_000;
const ROUNDS = 2;
/** Longer than the second between two writes of the mirror, so that each round has at least one. */
const ROUND_MS = 1200;
const CONCURRENT = 50;
const CONCURRENT_TIMES = 30;
const FLOOR_TIMES = 100;
const TICK_MS = 1;
const TOUCH_MS = 50;
const WATCH_MS = 1600;

const ignore = (): void => undefined;
const silent: Log = { debug: ignore, info: ignore, warn: ignore, error: ignore };

/** A store with `size` sessions and its measured times in milliseconds. */
interface World {
  readonly size: number;
  readonly sessions: SessionStore;
  readonly close: () => Promise<void>;
  /** One set after the other, the mirror written meanwhile. */
  readonly set: number[];
  /** Until all of 50 sets at the same time are durable. */
  readonly together: number[];
  /** How late the event loop was while the mirror was written each second. */
  readonly late: number[];
}

/**
 * What it costs to set a session among few and among many, beside what the machine takes to make
 * 4 KiB durable in the same minutes: the rounds of all three alternate, because a shared disk is
 * faster at one time than at another. Prints measured times and ratios, never a verdict.
 */
async function main(): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), "claude-hooks-bench-"));
  const worlds = [await openWorld(dir, FEW), await openWorld(dir, MANY)] as const;
  try {
    const floors: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const world of worlds) {
        floors.push(...measureFloor(join(dir, "floor")));
        await measureSets(world);
      }
    }
    for (const world of worlds) world.late.push(...(await watchLoop(world)));
    const floor = median(floors);
    console.log(`floor: append 4 KiB + fdatasync p50 ${ms(floor)}`);
    for (const world of worlds) print(world, floor, await timeMirror(world));
    const [few, many] = worlds;
    const compared = ratio(median(many.set), median(few.set));
    console.log(`set p50 with ${MANY} sessions = ${compared} that with ${FEW}`);
  } finally {
    for (const world of worlds) await world.close();
    await rm(dir, { recursive: true, force: true });
  }
}

function print({ size, set, together, late }: World, floor: number, mirror: number): void {
  console.log(`${size} sessions`);
  console.log(
    `  set p50 ${ms(median(set))} = ${ratio(median(set), floor)} floor, p99 ${ms(quantile(set, 0.99))}`,
  );
  console.log(
    `  ${CONCURRENT} at once p50 ${ms(median(together))} = ${ratio(median(together), floor)} floor`,
  );
  console.log(
    `  event loop late p99 ${ms(quantile(late, 0.99))}, max ${ms(Math.max(...late))}; one write of the mirror ${ms(mirror)}`,
  );
}

async function openWorld(dir: string, size: number): Promise<World> {
  const stateDir = await mkdtemp(join(dir, "state-"));
  const store = await openStore({ path: join(stateDir, "claude-hooks.db"), now: Date.now });
  const rows = Array.from({ length: size }, (_, index) => aSession(index + 1));
  await Promise.all(rows.map((row) => store.sessions.put(row)));
  const sessions = await openSessionStore({
    table: store.sessions,
    stateDir,
    now: Date.now,
    log: silent,
  });
  const close = async (): Promise<void> => {
    await sessions.mirror.close();
    await store.close();
  };
  return { size, sessions, close, set: [], together: [], late: [] };
}

async function measureSets(world: World): Promise<void> {
  const end = performance.now() + ROUND_MS;
  while (performance.now() < end) world.set.push(await timed(async () => setAny(world)));
  await world.sessions.mirror.flush();
  for (let time = 0; time < CONCURRENT_TIMES; time += 1) {
    const all = Array.from({ length: CONCURRENT }, () => world);
    world.together.push(await timed(async () => Promise.all(all.map(setAny))));
  }
  await world.sessions.mirror.flush();
}

/** How late a timer fires while a session is set now and then, so that the mirror follows each second. */
async function watchLoop(world: World): Promise<readonly number[]> {
  const late: number[] = [];
  const end = performance.now() + WATCH_MS;
  let touchAt = 0;
  while (performance.now() < end) {
    if (performance.now() >= touchAt) {
      await setAny(world);
      touchAt = performance.now() + TOUCH_MS;
    }
    late.push((await timed(async () => Bun.sleep(TICK_MS))) - TICK_MS);
  }
  await world.sessions.mirror.flush();
  return late;
}

async function timeMirror(world: World): Promise<number> {
  await setAny(world);
  return timed(async () => world.sessions.mirror.flush());
}

function measureFloor(path: string): readonly number[] {
  const file = openSync(path, "a");
  const block = Buffer.alloc(4096, 1);
  try {
    return Array.from({ length: FLOOR_TIMES }, () => {
      const begin = performance.now();
      writeSync(file, block);
      fdatasyncSync(file);
      return performance.now() - begin;
    });
  } finally {
    closeSync(file);
  }
}

async function setAny({ sessions, size }: World): Promise<void> {
  await setSession(sessions, aSession(1 + Math.floor(Math.random() * size)));
}

async function timed(act: () => Promise<unknown>): Promise<number> {
  const begin = performance.now();
  await act();
  return performance.now() - begin;
}

/** The session of an issue as it is after one more run: the same conversation, used later. */
function aSession(number: number): SessionRow {
  const now = Date.now();
  return {
    key: `boss:acme/widgets#${number}`,
    agent: "boss",
    repo: "acme/widgets",
    number,
    sessionId: `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`,
    createdAt: 0,
    updatedAt: now,
    resumes: now % 20,
    tainted: false,
    usdTotal: 0,
  };
}

function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}

function ms(value: number): string {
  return `${value.toFixed(2)} ms`;
}

function ratio(value: number, base: number): string {
  return `${(value / base).toFixed(2)} x`;
}

await main();
