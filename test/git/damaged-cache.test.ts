import { expect, test } from "bun:test";
import { mkdir, readdir, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { commit, personPushes, sh, workbench } from "./workbench.ts";

/** What a kill in the middle of a git, or a disk, may leave of a cache; `cache` is its path. */
const DAMAGES: readonly (readonly [string, (cache: string) => Promise<unknown>])[] = [
  ["the lock of a ref", (cache) => put(cache, "refs/remotes/origin/main.lock", "")],
  ["the lock of the packed refs", (cache) => put(cache, "packed-refs.lock", "")],
  ["the lock of the configuration", (cache) => put(cache, "config.lock", "")],
  ["the lock of HEAD", (cache) => put(cache, "HEAD.lock", "")],
  ["half a pack of a fetch", (cache) => put(cache, "objects/pack/tmp_pack_Ab12Cd", "PACK\0\0")],
  ["no HEAD", (cache) => rm(join(cache, "HEAD"))],
  ["an empty HEAD", (cache) => put(cache, "HEAD", "")],
  ["a HEAD of zeros", (cache) => put(cache, "HEAD", "\0".repeat(20))],
  ["no configuration", (cache) => rm(join(cache, "config"))],
  ["an empty configuration", (cache) => put(cache, "config", "")],
  ["a cut configuration", (cache) => put(cache, "config", "[core\n\tbar")],
  ["an empty ref", (cache) => put(cache, "refs/remotes/origin/main", "")],
  ["a cut ref", (cache) => put(cache, "refs/remotes/origin/main", "0123456789")],
  ["cut packed refs", (cache) => put(cache, "packed-refs", "# pack-refs with: peeled\n01234567")],
  ["no refs", (cache) => rm(join(cache, "refs"), { recursive: true })],
  ["no objects", (cache) => rm(join(cache, "objects"), { recursive: true })],
  ["no packs", (cache) => emptied(join(cache, "objects/pack"))],
  ["a cut pack", (cache) => packs(cache, ".pack", (path) => truncate(path, 40))],
  ["an empty pack", (cache) => packs(cache, ".pack", (path) => truncate(path, 0))],
  ["a pack without its index", (cache) => packs(cache, ".idx", (path) => rm(path))],
  ["an empty index of a pack", (cache) => packs(cache, ".idx", (path) => truncate(path, 0))],
  ["a file in its place", (cache) => replaced(cache, (path) => writeFile(path, "?"))],
  ["an empty directory in its place", (cache) => replaced(cache, (path) => mkdir(path))],
];

test.each(DAMAGES)(
  "a cache with %s is repaired or made anew by the first use after a restart",
  async (_what, damage) => {
    await using bench = await workbench();
    await bench.git.prepare(bench.order());
    const head = await personPushes(bench, {
      branch: "main",
      from: "origin/main",
      files: { "src/new.txt": "new\n" },
    });
    await damage(join(bench.stateDir, "cache/acme/widgets.git"));

    const git = bench.restart();
    const made = await git.prepare(bench.order());

    expect(made.headSha).toBe(head);
    expect(await sh(made.path, ["status", "--porcelain"])).toBe("");
    await sh(made.path, ["fsck", "--strict"]);
    const sha = await commit(made.path, { more: "1\n" }, "Works");
    expect(await git.push(bench.pushOrder())).toMatchObject({ sha });
    expect(await sh(bench.origin, ["rev-parse", "refs/heads/boss/42"])).toBe(sha);
  },
  30_000,
);

async function put(cache: string, name: string, text: string): Promise<void> {
  await writeFile(join(cache, name), text);
}

async function emptied(directory: string): Promise<void> {
  await rm(directory, { recursive: true });
  await mkdir(directory);
}

async function packs(
  cache: string,
  ending: string,
  damage: (path: string) => Promise<unknown>,
): Promise<void> {
  const directory = join(cache, "objects/pack");
  const names = (await readdir(directory)).filter((name) => name.endsWith(ending));
  expect(names).not.toEqual([]);
  for (const name of names) {
    const path = join(directory, name);
    await Bun.$`chmod u+w ${path}`.quiet();
    await damage(path);
  }
}

async function replaced(cache: string, make: (path: string) => Promise<unknown>): Promise<void> {
  await rm(cache, { recursive: true });
  await make(cache);
}
