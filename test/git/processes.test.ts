import { expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Git } from "../../src/ports/git.ts";
import {
  commit,
  gitBehind,
  ITEM,
  isThere,
  personPushes,
  sh,
  spareOf,
  until,
  type Workbench,
  workbench,
} from "./workbench.ts";

/** An adapter whose processes of git are counted; `calls` names those since it was last asked, sorted. */
async function counted(
  bench: Workbench,
): Promise<{ readonly git: Git; readonly calls: () => Promise<string> }> {
  const log = join(bench.root, "calls");
  const git = bench.restart(await gitBehind(bench, `echo "$1" >> ${log}`));
  return {
    git,
    calls: async () => {
      const lines = await readFile(log, "utf8").catch(() => "");
      await rm(log, { force: true });
      return lines.trim().split("\n").sort().join(" ");
    },
  };
}

test("a clone that goes on costs five processes of git, four when nothing changed", async () => {
  await using bench = await workbench();
  const { git, calls } = await counted(bench);
  await git.prepare(bench.order());
  expect(await calls()).toBe("fetch for-each-ref init reset update-ref");

  await personPushes(bench, { branch: "main", from: "origin/main", files: { a: "1\n" } });
  await calls();
  await git.prepare(bench.order());
  expect(await calls()).toBe("clean fetch for-each-ref reset update-ref");

  await git.prepare(bench.order());
  expect(await calls()).toBe("clean fetch for-each-ref reset");
});

test("commits that were pushed are known without taking them; others are taken and kept", async () => {
  await using bench = await workbench();
  const { git, calls } = await counted(bench);
  const { path } = await git.prepare(bench.order());
  const sha = await commit(path, { a: "1\n" }, "Work");
  await git.push(bench.pushOrder());
  await calls();
  expect(await git.prepare(bench.order())).toMatchObject({ headSha: sha, kept: null });
  expect(await calls()).toBe("clean fetch for-each-ref reset");

  const lost = await commit(path, { a: "2\n" }, "Not pushed");
  await calls();
  const again = await git.prepare(bench.order({ run: "later" }));
  expect(again).toMatchObject({ headSha: sha, kept: "refs/claude-hooks/later" });
  const cache = join(bench.stateDir, "cache/acme/widgets.git");
  expect(await sh(cache, ["rev-parse", "refs/claude-hooks/later"])).toBe(lost);
  expect(await sh(cache, ["for-each-ref", "refs/incoming/"])).toBe("");
});

test("a fresh clone with a spare there costs five, one of them to see what changed since", async () => {
  await using bench = await workbench({ spareAfterMs: 0 });
  const { git, calls } = await counted(bench);
  await git.prepare(bench.order());
  await until(async () => await isThere(spareOf(bench)));
  git.allowSpares(() => false);
  await personPushes(bench, { branch: "main", from: "origin/main", files: { a: "1\n" } });
  await calls();

  await git.prepare(bench.order({ item: { ...ITEM, number: 7 }, branch: "boss/7" }));
  expect(await calls()).toBe("diff-tree fetch for-each-ref reset update-ref");
});

test("git finds nothing wrong with a .git that was laid out without it, and works in it", async () => {
  await using bench = await workbench();
  const other = { branch: "a/first", from: "origin/main", files: { a: "1\n" } };
  await personPushes(bench, other);
  await personPushes(bench, { ...other, branch: "zz" });
  const made = [
    await bench.git.prepare(bench.order()),
    await bench.git.prepare(
      bench.order({ agent: "reviewer", at: await sh(bench.origin, ["rev-parse", "zz"]) }),
    ),
  ];
  for (const { path, headSha } of made) {
    expect(await sh(path, ["fsck", "--strict", "--no-dangling"])).toBe("");
    expect(await sh(path, ["for-each-ref", "--format=%(refname)", "refs/remotes/"])).toBe(
      ["a/first", "main", "zz"].map((name) => `refs/remotes/origin/${name}`).join("\n"),
    );
    expect(await sh(path, ["rev-parse", "HEAD"])).toBe(headSha);
    await mkdir(join(path, "sub"));
    await commit(path, { "sub/x": "1\n" }, "Work");
    await sh(path, ["checkout", "-q", "-b", "side", "origin/zz"]);
    await sh(path, ["merge", "-q", "-m", "Merged", "origin/main"]);
    await sh(path, ["tag", "v1"]);
    await sh(path, ["stash", "list"]);
    await sh(path, ["pack-refs", "--all"]);
    await sh(path, ["gc", "-q"]);
    expect(await sh(path, ["fsck", "--strict", "--no-dangling"])).toBe("");
  }
  const branch = made[0]?.path ?? "";
  await sh(branch, ["branch", "-m", "boss/42", "boss/renamed"]);
  await sh(branch, ["branch", "-D", "boss/renamed"]);
  expect(await sh(branch, ["branch", "--format=%(refname:short)"])).toBe("side");
});

test("a pack too large for the event loop's threads is copied whole, not linked", async () => {
  await using bench = await workbench();
  // Random, so that the pack is no smaller.
  const large = randomBytes(6_000_000).toString("base64");
  await personPushes(bench, { branch: "main", from: "origin/main", files: { large } });
  const { path } = await bench.git.prepare(bench.order());

  const packs = join(path, ".git/objects/pack");
  const cache = join(bench.stateDir, "cache", `${ITEM.repo}.git`, "objects/pack");
  let largest = 0;
  for (const name of await readdir(packs)) {
    const [own, cached] = await Promise.all([stat(join(packs, name)), stat(join(cache, name))]);
    expect([own.ino === cached.ino, own.size]).toEqual([false, cached.size]);
    largest = Math.max(largest, own.size);
  }
  expect(largest).toBeGreaterThan(4 * 1024 * 1024);
  expect(await sh(path, ["fsck", "--strict"])).not.toContain("error");
  expect(await sh(path, ["status", "--porcelain"])).toBe("");
});
