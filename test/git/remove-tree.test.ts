import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  realpath,
  rm,
  stat,
  symlink,
  unlink,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { removeTree } from "../../src/git/remove-tree.ts";
import { ITEM, workbench } from "./workbench.ts";

let dir = "";
beforeEach(async () => {
  dir = await mkdtemp("/tmp/ch-tree-");
});
afterEach(async () => {
  await Bun.$`chmod -R u+rwx ${dir}`.nothrow().quiet();
  await Bun.$`rm -rf ${dir}`.nothrow().quiet();
});

/** Sixty directories in one another, 12,000 bytes of path: three times what the kernel takes. */
async function deepTree(at: string): Promise<void> {
  const made = 'my $n="d"x200; for (1..60) { mkdir $n or die $!; chdir $n or die $! } open(F,">f")';
  await Bun.$`perl -e ${made}`.cwd(at).quiet();
}

/**
 * What `removeTree` must not be: `stat` instead of `lstat`. It deletes files only, and nothing but
 * what really lies in one of the two directories that the test has made.
 */
async function removeThroughLinks(path: string, within: readonly string[]): Promise<void> {
  const real = await realpath(path);
  const isOurs = within.some(
    (root) => /^\/tmp\/ch-tree-/u.test(root) && real.startsWith(`${root}/`),
  );
  if (!isOurs && !within.includes(real)) throw new Error(`${real} is not of this test`);
  if (!(await stat(path)).isDirectory()) return await unlink(real);
  for (const name of await readdir(path)) await removeThroughLinks(join(path, name), within);
}

describe("a tree that an agent has made", () => {
  test("is removed with everything in it, and nothing behind its links", async () => {
    const [tree, kept] = [join(dir, "tree"), join(dir, "kept")];
    await mkdir(join(tree, "a/b"), { recursive: true });
    await mkdir(kept);
    await writeFile(join(kept, "file"), "x");
    await deepTree(join(tree, "a"));
    for (const at of ["link", "a/link", "a/b/link"]) await symlink(kept, join(tree, at));

    await removeTree(tree);

    expect(existsSync(tree)).toBe(false);
    expect(await readdir(kept)).toEqual(["file"]);
  });

  test("keeps no thread of the runtime, so that the database need not wait until it is gone", async () => {
    const trees = [join(dir, "one"), join(dir, "other")];
    for (const tree of trees) {
      const files = Array.from({ length: 3000 }, (_, at) => `${tree}/${at % 10}/${at}`);
      for (let part = 0; part < 10; part += 1) await mkdir(`${tree}/${part}`, { recursive: true });
      await Promise.all(files.map((file) => writeFile(file, "x")));
    }

    const child = Bun.spawn(
      [process.execPath, join(import.meta.dir, "remove-two-in-child.ts"), ...trees],
      { env: { ...process.env, UV_THREADPOOL_SIZE: "2" }, stdout: "pipe" },
    );
    const looks = Number(await new Response(child.stdout).text());

    expect(await child.exited).toBe(0);
    expect(looks).toBeGreaterThan(20);
    expect(await readdir(dir)).toEqual([]);
  }, 30_000);

  test("control: a removal that follows links takes what is behind them", async () => {
    const kept = await mkdtemp("/tmp/ch-tree-kept-");
    try {
      const tree = join(dir, "tree");
      await mkdir(join(tree, "a"), { recursive: true });
      await writeFile(join(kept, "file"), "x");
      await symlink(kept, join(tree, "a/link"));

      await removeThroughLinks(tree, [dir, kept]);

      expect(existsSync(join(kept, "file"))).toBe(false);
    } finally {
      await rm(kept, { recursive: true, force: true });
    }
  });

  test("may be a file, a link, or nothing", async () => {
    await writeFile(join(dir, "file"), "x");
    await symlink(dir, join(dir, "link"));

    for (const name of ["file", "link", "nothing"]) await removeTree(join(dir, name));

    expect(await readdir(dir)).toEqual([]);
  });

  // Whoever runs the tests may be root, whom no closed directory stops; then somebody else tries.
  test("is removed, prepared and thrown away when its directories are closed", async () => {
    await chmod(dir, 0o777);
    const script = join(import.meta.dir, "closed-clone-in-child.ts");
    const self = process.getuid?.() === 0 ? ["setpriv", "--reuid=4321", "--regid=4321"] : [];
    const command = [...self, ...(self.length > 0 ? ["--clear-groups"] : []), process.execPath];

    const child = Bun.spawn([...command, script], {
      env: { PATH: "/usr/local/bin:/usr/bin:/bin", HOME: dir, TMPDIR: dir },
      stderr: "pipe",
    });
    const [out, error] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);

    expect({ error, ...JSON.parse(out || "{}") }).toEqual({
      error: "",
      fresh: [true, true, true],
      files: false,
      removed: 1,
      trash: [],
      home: false,
    });
  });
});

describe("a clone that git cannot clear", () => {
  test("is thrown away and made anew, with its commits kept", async () => {
    await using bench = await workbench();
    const made = await bench.git.prepare(bench.order());
    await Bun.$`git commit -q --allow-empty -m work`.cwd(made.path).quiet();
    await deepTree(made.path);

    const again = await bench.git.prepare(bench.order());

    expect(again).toMatchObject({ path: made.path, headSha: made.headSha, fresh: true });
    expect(again.kept).toStartWith("refs/claude-hooks/");
    expect((await readdir(made.path)).sort()).toEqual([".git", ".gitignore", "README.md"]);
    expect(bench.warnings.join()).toContain("made anew");
    expect(await readdir(join(bench.stateDir, "work/.trash"))).toEqual([]);
  });

  test("control: one that can be cleared is made use of", async () => {
    await using bench = await workbench();
    const made = await bench.git.prepare(bench.order());
    await mkdir(join(made.path, "node_modules"));
    await writeFile(join(made.path, "node_modules/x"), "x");

    const again = await bench.git.prepare(bench.order());

    expect(again.fresh).toBe(false);
    expect(existsSync(join(made.path, "node_modules/x"))).toBe(true);
    expect(bench.warnings).toEqual([]);
  });

  test("is removed with its work item", async () => {
    await using bench = await workbench();
    const made = await bench.git.prepare(bench.order());
    await deepTree(made.path);

    expect(await bench.git.removeClones(ITEM)).toBe(1);
    expect(existsSync(made.path)).toBe(false);
    expect(await readdir(join(bench.stateDir, "work/.trash"))).toEqual([]);
  });
});
