import { expect, test } from "bun:test";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { ITEM, personPushes, sh, workbench } from "./workbench.ts";

/** Makes branches of the origin whose names are bytes, as a git that pushes may. */
async function branch(origin: string, names: readonly Uint8Array[]): Promise<void> {
  const sha = await sh(origin, ["rev-parse", "main"]);
  const lines = names.flatMap((name) => ["create refs/heads/", name, ` ${sha}\n`]);
  const input = Buffer.concat(lines.map((part) => Buffer.from(part)));
  await execa("git", ["update-ref", "--stdin"], { cwd: origin, input });
}

test("a clone finds each branch whose name is UTF-8, whatever others are called", async () => {
  await using bench = await workbench();
  const names = ["a", "a!/b", "a-b", "a.b/c", "aa", "é", "\uE000", "\uFB00", "🎉", "zz"];
  const broken = ["ff71", "c378", "636166e9", "63e861"].map((hex) => Buffer.from(hex, "hex"));
  await branch(bench.origin, [...names.map((name) => Buffer.from(name)), ...broken]);

  const { path, headSha } = await bench.git.prepare(bench.order());

  for (const name of [...names, "main"]) {
    const ref = `refs/remotes/origin/${name}`;
    expect([name, await sh(path, ["rev-parse", "--verify", ref])]).toEqual([name, headSha]);
  }
  expect(await sh(path, ["fsck", "--strict"])).toBe("");
  expect(await sh(path, ["status", "--porcelain", "--branch"])).toBe("## boss/42");
  expect(bench.warnings).toEqual([]);
});

test("a cache of many branches keeps them in one file", async () => {
  await using bench = await workbench();
  const sha = await personPushes(bench, { branch: "main", from: "origin/main", files: { a: "1" } });
  const names = Array.from({ length: 150 }, (_, at) => `many-${at}`);
  await sh(bench.person, [
    "push",
    "-q",
    "origin",
    ...names.map((name) => `${sha}:refs/heads/${name}`),
  ]);

  const { path } = await bench.git.prepare(bench.order());

  const cache = join(bench.stateDir, "cache", `${ITEM.repo}.git`);
  const packed = await readFile(join(cache, "packed-refs"), "utf8");
  expect(names.every((name) => packed.includes(`refs/remotes/origin/${name}\n`))).toBe(true);
  expect((await sh(path, ["branch", "-r"])).split("\n")).toHaveLength(names.length + 1);
});
