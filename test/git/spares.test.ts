import { describe, expect, test } from "bun:test";
import {
  appendFile,
  chmod,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from "node:fs/promises";
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

const CHILD = join(import.meta.dir, "prepare-in-child.ts");
/** Longer than a spare takes to be made when nothing is in its way. */
const QUIET_MS = 2_500;
const inode = async (path: string): Promise<number> => (await stat(path)).ino;
/** A file that is removed while it is held gives its number to no other one. */
async function heldOpen(path: string): Promise<AsyncDisposable & { readonly inode: number }> {
  const handle = await open(path);
  const { ino } = await handle.stat();
  return { inode: ino, [Symbol.asyncDispose]: async () => await handle.close() };
}
const numbered = (bench: Workbench, number: number) =>
  bench.order({ item: { ...ITEM, number }, branch: `boss/${number}` });

/** A bench whose adapter has made one clone (42) and holds a spare. */
async function benchWithSpare(): Promise<Workbench> {
  const bench = await workbench({ spareAfterMs: 0 });
  await bench.git.prepare(bench.order());
  await until(async () => await isThere(spareOf(bench)));
  return bench;
}

/** Names, modes and content of a commit's checkout by a plain clone; a prepared clone must be the same. */
async function expectCheckout(bench: Workbench, path: string, sha: string): Promise<void> {
  const plain = join(await mkdtemp(join(bench.root, "plain-")), "clone");
  await sh(bench.root, ["clone", "-q", bench.origin, plain]);
  await sh(plain, ["checkout", "-q", "--detach", sha]);
  expect(await sh(path, ["rev-parse", "HEAD"])).toBe(sha);
  expect(await sh(path, ["status", "--porcelain", "--ignored"])).toBe("");
  expect(await sh(path, ["ls-files", "-s"])).toBe(await sh(plain, ["ls-files", "-s"]));
  const listed = async (root: string): Promise<string> =>
    await Bun.$`find . -path ./.git -prune -o -printf '%p %y %m %l\n' | sort`
      .cwd(root)
      .quiet()
      .text();
  // The top itself is closed to others, as every clone is.
  expect((await listed(path)).replace(/^\. .*\n/u, "")).toBe(
    (await listed(plain)).replace(/^\. .*\n/u, ""),
  );
  await Bun.$`diff -r --no-dereference --exclude=.git ${path} ${plain}`.quiet();
}

describe("a spare", () => {
  test("is made after a fresh clone, becomes the next one, and is made again", async () => {
    await using bench = await benchWithSpare();
    const file = await inode(join(spareOf(bench), "tree/README.md"));
    const names = await readdir(join(spareOf(bench), "tree"));
    expect(names.sort()).toEqual([".gitignore", "README.md"]);

    const made = await bench.git.prepare(numbered(bench, 7));

    expect(made).toMatchObject({ fresh: true, kept: null });
    expect(await inode(join(made.path, "README.md"))).toBe(file);
    await expectCheckout(bench, made.path, made.headSha);
    await commit(made.path, { more: "1\n" }, "Works");
    await until(async () => await isThere(spareOf(bench)));
    expect(await inode(join(spareOf(bench), "tree/README.md"))).not.toBe(file);
    expect(bench.warnings).toEqual([]);
  }, 30_000);

  test("goes to one of two preparations at once", async () => {
    await using bench = await benchWithSpare();
    const file = await inode(join(spareOf(bench), "tree/README.md"));

    const made = await Promise.all(
      [7, 8].map((number) => bench.git.prepare(numbered(bench, number))),
    );

    const taken = await Promise.all(made.map(({ path }) => inode(join(path, "README.md"))));
    expect(taken.filter((one) => one === file)).toHaveLength(1);
    for (const { path, headSha } of made) await expectCheckout(bench, path, headSha);
    expect(bench.warnings).toEqual([]);
  }, 30_000);

  test("of an older base has only those files written that differ", async () => {
    await using bench = await workbench({ spareAfterMs: 0 });
    const { person } = bench;
    await mkdir(join(person, "dir"));
    await symlink("README.md", join(person, "link"));
    await symlink("dir", join(person, "becomes-file"));
    await writeFile(join(person, "script"), "#!/bin/sh\n");
    const before = { same: "same\n", changed: "1\n", removed: "1\n", "dir/removed": "1\n" };
    await commit(person, { ...before, "becomes-dir": "1\n", "dir-becomes-file/x": "1\n" }, "Many");
    await sh(person, ["push", "-q", "origin", "main"]);
    await bench.git.prepare(bench.order());
    await until(async () => await isThere(spareOf(bench)));
    const same = await inode(join(spareOf(bench), "tree/same"));
    for (const name of ["removed", "dir", "link", "becomes-dir", "becomes-file"])
      await rm(join(person, name), { recursive: true });
    await rm(join(person, "dir-becomes-file"), { recursive: true });
    await chmod(join(person, "script"), 0o755);
    await symlink("same", join(person, "link"));
    const after = { changed: "2\n", added: "1\n", "deep/added": "1\n", "becomes-dir/x": "1\n" };
    await commit(person, { ...after, "becomes-file": "1\n", "dir-becomes-file": "1\n" }, "More");
    await sh(person, ["push", "-q", "origin", "main"]);

    const made = await bench.git.prepare(numbered(bench, 7));

    expect(await inode(join(made.path, "same"))).toBe(same);
    await expectCheckout(bench, made.path, await sh(person, ["rev-parse", "HEAD"]));
    expect(bench.warnings).toEqual([]);
  }, 30_000);

  test("serves the clone of a review, too, detached at its sha", async () => {
    await using bench = await benchWithSpare();
    const file = await inode(join(spareOf(bench), "tree/README.md"));
    const at = await personPushes(bench, {
      ...{ branch: "boss/42", from: "origin/main", files: { a: "1\n" } },
    });

    const made = await bench.git.prepare(bench.order({ agent: "reviewer", at }));

    expect(await inode(join(made.path, "README.md"))).toBe(file);
    await expectCheckout(bench, made.path, at);
  }, 30_000);

  test("is not used when attributes changed since: they say how unchanged files are written", async () => {
    await using bench = await benchWithSpare();
    await using file = await heldOpen(join(spareOf(bench), "tree/README.md"));
    const files = { ".gitattributes": "*.md text eol=crlf\n" };
    const sha = await personPushes(bench, { branch: "main", from: "origin/main", files });

    const made = await bench.git.prepare(numbered(bench, 7));

    expect(await inode(join(made.path, "README.md"))).not.toBe(file.inode);
    expect(await readFile(join(made.path, "README.md"), "utf8")).toBe("widgets\r\n");
    await expectCheckout(bench, made.path, sha);
    expect(await readdir(join(bench.stateDir, "work/.new"))).toEqual([]);
  }, 30_000);

  test("that somebody damaged by hand is put right: size, time or change time tell", async () => {
    await using bench = await workbench({ spareAfterMs: 0 });
    const files = { one: "one\n", two: "two\n", three: "three\n" };
    await personPushes(bench, { branch: "main", from: "origin/main", files });
    await bench.git.prepare(bench.order());
    await until(async () => await isThere(spareOf(bench)));
    const tree = join(spareOf(bench), "tree");
    const { atime, mtime } = await stat(join(tree, "one"));
    await writeFile(join(tree, "one"), "eno\n");
    await utimes(join(tree, "one"), atime, mtime);
    await writeFile(join(tree, "two"), "owt\n");
    await rm(join(tree, "three"));

    const made = await bench.git.prepare(numbered(bench, 7));

    await expectCheckout(bench, made.path, made.headSha);
  }, 30_000);

  test("is younger than its files by a second, so that none of them is read again", async () => {
    await using bench = await benchWithSpare();
    const seconds = async (name: string): Promise<number> =>
      Math.floor((await stat(join(spareOf(bench), name))).mtimeMs / 1000);

    expect(await seconds("index")).toBeGreaterThan(await seconds("tree/README.md"));
  }, 30_000);

  test("is not missed when its index is torn, its tree gone, or its commit no longer in the cache", async () => {
    const damages: readonly ((bench: Workbench) => Promise<unknown>)[] = [
      (bench) => writeFile(join(spareOf(bench), "index"), "torn"),
      (bench) => rm(join(spareOf(bench), "tree"), { recursive: true }),
      (bench) => rm(spareOf(bench), { recursive: true }),
      async (bench) => {
        await sh(bench.person, ["commit", "-q", "--amend", "-m", "Other"]);
        await sh(bench.person, ["push", "-q", "-f", "origin", "main"]);
        await rm(join(bench.stateDir, "cache/acme/widgets.git"), { recursive: true });
      },
    ];
    for (const damage of damages) {
      await using bench = await benchWithSpare();
      await damage(bench);

      const made = await bench.git.prepare(numbered(bench, 7));

      expect(made.fresh).toBe(true);
      await expectCheckout(bench, made.path, made.headSha);
      expect(await readdir(join(bench.stateDir, "work/.new"))).toEqual([]);
      expect(bench.warnings.join()).toContain("a spare work tree cannot be used");
    }
  }, 60_000);
});

describe("spares are made", () => {
  test("for repositories only that a fresh clone was made of in this life; older ones go away unused", async () => {
    await using bench = await benchWithSpare();
    await bench.git.close();
    await using file = await heldOpen(join(spareOf(bench), "tree/README.md"));

    const next = bench.restart();
    await next.prepare(bench.order());
    await until(async () => (await readdir(join(bench.stateDir, "work/.spare"))).length === 0);
    await Bun.sleep(QUIET_MS);
    expect(await readdir(join(bench.stateDir, "work/.spare"))).toEqual([]);

    const last = bench.restart();
    const made = await last.prepare(numbered(bench, 7));
    expect(await inode(join(made.path, "README.md"))).not.toBe(file.inode);
  }, 30_000);

  test("after the last of several preparations has ended", async () => {
    await using bench = await workbench({ spareAfterMs: 0 });
    const held = join(bench.root, "held");
    await writeFile(held, "");
    const path = await gitBehind(
      bench,
      `case "$GIT_DIR$1" in *reset) while [ -e ${held} ] && grep -q boss/8 "$GIT_DIR/HEAD"; do sleep 0.05; done;; esac`,
    );
    const git = bench.restart(path);
    await git.prepare(bench.order());
    const slow = git.prepare(numbered(bench, 8));
    await git.prepare(numbered(bench, 7));
    await Bun.sleep(QUIET_MS);
    expect(await isThere(spareOf(bench))).toBe(false);

    await rm(held);
    await slow;
    await until(async () => await isThere(spareOf(bench)));
  }, 30_000);

  test("eight at most: the oldest gives way", async () => {
    await using bench = await workbench({ spareAfterMs: 0 });
    const repos = Array.from({ length: 9 }, (_, index) => `acme/r${index}`);
    for (const repo of repos) {
      await sh(bench.root, [
        "clone",
        "-q",
        "--bare",
        bench.origin,
        join(bench.root, `${repo}.git`),
      ]);
      await bench.git.prepare(bench.order({ item: { repo, number: 1 } }));
    }
    const spares = join(bench.stateDir, "work/.spare/acme");

    await until(async () => await isThere(join(spares, "r8")));

    expect((await readdir(spares)).sort()).toEqual(repos.slice(1).map((repo) => repo.slice(5)));
  }, 60_000);

  test("not where there is no room, also when that is said while one is being made", async () => {
    await using bench = await workbench({ spareAfterMs: 0 });
    let asked = 0;
    bench.git.allowSpares((repo) => {
      asked += 1;
      return repo === "acme/widgets" && asked === 1;
    });

    await bench.git.prepare(bench.order());
    await until(async () => asked === 2);
    const spares = join(bench.stateDir, "work/.spare");
    await until(async () => (await readdir(spares)).length === 0);
    await bench.git.prepare(numbered(bench, 7));
    await until(async () => asked === 3);
    await Bun.sleep(QUIET_MS);

    expect(await readdir(spares)).toEqual([]);
  }, 30_000);

  test("or their failure is told once and harms nothing", async () => {
    await using bench = await workbench({ spareAfterMs: 0 });
    const tries = join(bench.root, "tries");
    const path = await gitBehind(
      bench,
      `[ "$1" = read-tree ] && { echo x >> ${tries}; exit 128; }`,
    );
    const git = bench.restart(path);
    const count = async (): Promise<number> =>
      (await readFile(tries, "utf8").catch(() => "")).length;

    for (const [index, number] of [7, 8, 9].entries()) {
      const made = await git.prepare(numbered(bench, number));
      await expectCheckout(bench, made.path, made.headSha);
      await until(async () => (await count()) === 2 * (index + 1));
    }

    await until(async () => (await readdir(join(bench.stateDir, "work/.spare"))).length === 0);
    expect(bench.warnings.filter((line) => line.includes("spare"))).toHaveLength(1);
  }, 30_000);

  test("until the service stops: what is under way is ended and leaves nothing", async () => {
    await using bench = await workbench({ spareAfterMs: 0 });
    const mark = join(bench.root, "pid");
    const path = await gitBehind(
      bench,
      `[ "$1" = read-tree ] && { echo $$ > ${mark}; exec sleep 60; }`,
    );
    const git = bench.restart(path);
    await git.prepare(bench.order());
    await until(async () => (await readFile(mark, "utf8").catch(() => "")).endsWith("\n"));

    await git.close();

    expect(await isThere(`/proc/${(await readFile(mark, "utf8")).trim()}`)).toBe(false);
    expect(await readdir(join(bench.stateDir, "work/.spare"))).toEqual([]);
    await git.prepare(numbered(bench, 7));
    expect(bench.warnings).toEqual([]);
  }, 30_000);
});

/** Lets a process prepare these work items, with a git that stops for good in `call`, and kills both there. */
async function killedIn(bench: Workbench, call: string, numbers: readonly number[]): Promise<void> {
  const mark = join(bench.root, "reached");
  // Half of the work is done: git ran, and its parent does not know.
  const path = await gitBehind(
    bench,
    `if [ "$1" = ${call} ] && { [ $1 = read-tree ] || grep -q boss/${numbers.at(-1)} "$GIT_DIR/HEAD"; }; then
  ${Bun.which("git")} "$@"; echo $$ > ${mark}; exec sleep 60
fi`,
  );
  const command = [
    process.execPath,
    CHILD,
    bench.stateDir,
    bench.origin,
    path,
    ...numbers.map(String),
  ];
  const child = Bun.spawn(command, { stdout: "ignore" });
  await until(async () => (await readFile(mark, "utf8").catch(() => "")).endsWith("\n"));
  child.kill("SIGKILL");
  await child.exited;
  process.kill(Number(await readFile(mark, "utf8")), "SIGKILL");
}

test.each([
  ["a spare is being made", "read-tree", [7]],
  ["a spare is being taken", "reset", [7, 8]],
] as const)(
  "a kill -9 while %s leaves nothing that the next process uses",
  async (_what, call, numbers) => {
    await using bench = await workbench({ spareAfterMs: 0 });
    await killedIn(bench, call, numbers);
    const half = await Array.fromAsync(
      new Bun.Glob("work/.{spare,new}/**/README.md").scan({ cwd: bench.stateDir, dot: true }),
    );
    expect(half).toHaveLength(1);
    await appendFile(join(bench.stateDir, half[0] ?? ""), "of an earlier life\n");

    const git: Git = bench.restart();
    const made = await git.prepare(numbered(bench, 8));

    await expectCheckout(bench, made.path, made.headSha);
    await until(async () => await isThere(spareOf(bench)));
    expect(await readdir(join(bench.stateDir, "work/.spare"))).toEqual(["acme"]);
    expect(await readdir(join(bench.stateDir, "work/.new"))).toEqual([]);
    const next = await git.prepare(numbered(bench, 9));
    await expectCheckout(bench, next.path, next.headSha);
    expect(bench.warnings).toEqual([]);
  },
  30_000,
);
