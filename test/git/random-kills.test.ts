import { expect, test } from "bun:test";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { commit, ITEM, personPushes, sh, type Workbench, workbench } from "./workbench.ts";

/** CLAUDE_HOOKS_LONG=1 plays the sixty kills of the long form. */
const KILLS = process.env["CLAUDE_HOOKS_LONG"] === "1" ? 60 : 20;
const FILES = Object.fromEntries(
  Array.from({ length: 120 }, (_, index) => [`dir-${index % 20}/file-${index}.txt`, `${index}\n`]),
);
const CHILD = join(import.meta.dir, "prepare-in-child.ts");
const PATH = "/usr/local/bin:/usr/bin:/bin";

/** What is there before the prepare that is killed: a clone, no clone, not even a cache. */
const SITUATIONS: readonly ((bench: Workbench) => Promise<unknown>)[] = [
  async () => undefined,
  async (bench) => await bench.git.removeClones(ITEM),
  async (bench) => {
    await bench.git.removeClones(ITEM);
    await rm(join(bench.stateDir, "cache"), { recursive: true, force: true });
  },
];

/** Prepares in a process of its own group; `kill`: after how many ms of preparing, and what. */
async function prepareInChild(
  bench: Workbench,
  kill: { readonly afterMs: number; readonly group: boolean } | null,
): Promise<{ readonly ms: number; readonly wasUnderWay: boolean }> {
  const child = Bun.spawn([process.execPath, CHILD, bench.stateDir, bench.origin, PATH], {
    stdout: "pipe",
    stderr: "ignore",
    detached: true,
  });
  const reader = child.stdout.getReader();
  await reader.read();
  const began = performance.now();
  if (kill !== null) await Promise.race([Bun.sleep(kill.afterMs), child.exited]);
  const wasUnderWay = child.exitCode === null && kill !== null;
  if (wasUnderWay) process.kill(kill.group ? -child.pid : child.pid, "SIGKILL");
  await child.exited;
  return { ms: performance.now() - began, wasUnderWay };
}

test(`${KILLS} kills -9 in the middle of a prepare: the next one stands each time, unattended`, async () => {
  await using bench = await workbench();
  const pushed = async (round: number): Promise<string> => {
    const files = { ...FILES, "round.txt": `${round}\n` };
    return await personPushes(bench, { branch: "main", from: "origin/main", files });
  };
  await pushed(-1);
  const whole: number[] = [];
  for (const situation of SITUATIONS) {
    await situation(bench);
    whole.push((await prepareInChild(bench, null)).ms);
  }
  let hit = 0;
  let round = 0;
  for (; hit < KILLS && round < 3 * KILLS; round += 1) {
    const kind = round % SITUATIONS.length;
    const head = await pushed(round);
    await SITUATIONS[kind]?.(bench);
    // Spread evenly over the whole of a prepare of that kind; the git under way is killed, too, or not.
    const afterMs = ((whole[kind] ?? 0) * ((round % KILLS) + 0.5)) / KILLS;
    const { ms, wasUnderWay } = await prepareInChild(bench, { afterMs, group: round % 2 === 0 });
    if (wasUnderWay) hit += 1;
    // It was quicker than the ones before: a kill that comes too late is none.
    else whole[kind] = ms;

    const made = await bench.restart().prepare(bench.order());
    expect(made.headSha).toBe(head);
    expect(await sh(made.path, ["status", "--porcelain"])).toBe("");
    await commit(made.path, { "more.txt": `${round}\n` }, "Works");
  }
  expect(hit).toBe(KILLS);
  console.log(`prepares killed under way: ${hit} in ${round} rounds, recovered: ${hit}`);
}, 280_000);
