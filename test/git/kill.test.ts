import { expect, test } from "bun:test";
import { readdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { commit, personPushes, sh, type Workbench, workbench } from "./workbench.ts";

const FILES = Object.fromEntries(
  Array.from({ length: 1500 }, (_, index) => [`dir-${index % 40}/file-${index}.txt`, `${index}\n`]),
);
const DEADLINE_MS = 20_000;

const deepest = async (root: string, ...parts: string[]): Promise<string[]> => {
  const [first] = await readdir(root).catch(() => []);
  return first === undefined ? [] : await readdir(join(root, first, ...parts)).catch(() => []);
};
type Stage = readonly [string, (bench: Workbench) => Promise<boolean>];
const STAGES: readonly Stage[] = [
  [
    "the cache is being made",
    async ({ stateDir }) => (await deepest(join(stateDir, "cache/.new"))).length > 0,
  ],
  [
    "objects are being copied",
    async ({ stateDir }) =>
      (await deepest(join(stateDir, "work/.new"), ".git/objects/pack")).length > 0,
  ],
  [
    "files are being written",
    async ({ stateDir }) =>
      (await deepest(join(stateDir, "work/.new"))).some((name) => name.startsWith("dir-")),
  ],
  [
    "the index is being locked",
    async ({ stateDir }) =>
      (await deepest(join(stateDir, "work/.new"), ".git")).includes("index.lock"),
  ],
];

test.each(STAGES)(
  "a kill -9 while %s leaves nothing that the next prepare stumbles over",
  async (_what, isAt) => {
    await using bench = await workbench();
    const head = await personPushes(bench, {
      branch: "main",
      from: "origin/main",
      files: FILES,
    });
    const script = join(import.meta.dir, "prepare-in-child.ts");
    const child = Bun.spawn([process.execPath, script, bench.stateDir, bench.origin, "r1"], {
      stdout: "ignore",
    });
    const end = Date.now() + DEADLINE_MS;
    while (!(await isAt(bench)) && child.exitCode === null && Date.now() < end) await Bun.sleep(0);
    const wasAlive = child.exitCode === null;
    child.kill("SIGKILL");
    await child.exited;

    const made = await bench.git.prepare(bench.order());

    expect(wasAlive).toBe(true);
    expect(made.headSha).toBe(head);
    expect(await sh(made.path, ["status", "--porcelain"])).toBe("");
    expect(await readdir(join(bench.stateDir, "work/.new"))).toEqual([]);
    await commit(made.path, { more: "1\n" }, "Works");
  },
  30_000,
);

test("a kill -9 between the old and the new .git of a clone is repaired", async () => {
  await using bench = await workbench();
  const { path, headSha } = await bench.git.prepare(bench.order());

  await rename(join(path, ".git"), join(bench.root, "half-way"));

  const again = await bench.restart().prepare(bench.order());

  expect(again).toMatchObject({ headSha, fresh: false, kept: null });
  expect(await sh(path, ["status", "--porcelain"])).toBe("");
});
