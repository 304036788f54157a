import { expect, test } from "bun:test";
import { readdir, readFile, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { sh, workbench } from "./workbench.ts";

test("a file changed under its old time and size, and hidden in the clone's own index, is put right", async () => {
  await using bench = await workbench();
  const { path } = await bench.git.prepare(bench.order());
  const file = join(path, "README.md");
  const { atime, mtime } = await stat(file);
  await writeFile(file, "WIDGETS\n");
  await utimes(file, atime, mtime);
  await sh(path, ["update-index", "--assume-unchanged", "--skip-worktree", "README.md"]);

  await bench.git.prepare(bench.order());

  expect(await readFile(file, "utf8")).toBe("widgets\n");
  expect(await sh(path, ["ls-files", "-v"])).not.toMatch(/^[a-z]|^S/m);
});

test("a kept index that is torn only costs a new clone", async () => {
  await using bench = await workbench();
  const { path } = await bench.git.prepare(bench.order());
  await writeFile(join(path, "README.md"), "other\n");
  const kept = join(bench.stateDir, "cache/acme/widgets.git/prepared-index");
  for (const name of await readdir(kept)) await writeFile(join(kept, name), "torn");

  await bench.git.prepare(bench.order());

  expect(await readFile(join(path, "README.md"), "utf8")).toBe("widgets\n");
});

test("the kept index goes with its clone", async () => {
  await using bench = await workbench();
  await bench.git.prepare(bench.order());
  const kept = join(bench.stateDir, "cache/acme/widgets.git/prepared-index");
  expect(await readdir(kept)).toEqual(["boss-42"]);

  await bench.git.removeClones(bench.order().item);

  expect(await readdir(kept)).toEqual([]);
});
