import { describe, expect, test } from "bun:test";
import { chmod, mkdir, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { commit, ITEM, personPushes, sh, type Workbench, workbench } from "./workbench.ts";

const remoteHead = (bench: Workbench, branch = "boss/42"): Promise<string> =>
  sh(bench.origin, ["rev-parse", `refs/heads/${branch}`]);

describe("push", () => {
  test("pushes HEAD of the clone to exactly its branch and once only", async () => {
    await using bench = await workbench();
    const { path } = await bench.git.prepare(bench.order());
    const head = await commit(path, { a: "1\n" }, "Work");
    await sh(path, ["branch", "extra"]);
    await sh(path, ["tag", "v1"]);

    const first = await bench.git.push(bench.pushOrder());
    const again = await bench.git.push(bench.pushOrder());

    expect(first).toEqual({ kind: "pushed", sha: head });
    expect(again).toEqual({ kind: "up_to_date", sha: head });
    const refs = await sh(bench.origin, ["for-each-ref", "--format=%(refname)"]);
    expect(refs.split("\n")).toEqual(["refs/heads/boss/42", "refs/heads/main"]);
  });

  test("finds HEAD detached, on another branch and in packed refs", async () => {
    await using bench = await workbench();
    const { path } = await bench.git.prepare(bench.order());
    const first = await commit(path, { a: "1\n" }, "One");
    await sh(path, ["checkout", "-q", "--detach"]);
    expect(await bench.git.push(bench.pushOrder())).toEqual({ kind: "pushed", sha: first });
    await sh(path, ["checkout", "-q", "-b", "other"]);
    const second = await commit(path, { a: "2\n" }, "Two");
    await sh(path, ["gc", "-q", "--prune=now"]);

    const answer = await bench.git.push(bench.pushOrder({ remoteSha: first }));

    expect(answer).toEqual({ kind: "pushed", sha: second });
    expect(await remoteHead(bench)).toBe(second);
  });

  test("takes a rewritten branch with the lease on what it was prepared from", async () => {
    await using bench = await workbench();
    const before = await personPushes(bench, {
      branch: "boss/42",
      from: "origin/main",
      files: { a: "1\n" },
    });
    const { path } = await bench.git.prepare(bench.order());
    await sh(path, ["commit", "-q", "--amend", "-m", "Better words"]);
    const head = await sh(path, ["rev-parse", "HEAD"]);

    const answer = await bench.git.push(bench.pushOrder({ remoteSha: before }));

    expect(answer).toEqual({ kind: "pushed", sha: head });
    expect(await remoteHead(bench)).toBe(head);
  });

  test("has no commits to push", async () => {
    await using bench = await workbench();
    await bench.git.prepare(bench.order());

    expect(await bench.git.push(bench.pushOrder())).toEqual({ kind: "no_commits" });
  });

  test("names the files that are not committed, new ones and changed ones", async () => {
    await using bench = await workbench();
    const { path } = await bench.git.prepare(bench.order());
    await writeFile(join(path, "README.md"), "changed");
    await mkdir(join(path, "lib"));
    await writeFile(join(path, "lib/new.ts"), "x");
    await mkdir(join(path, "node_modules"));
    await writeFile(join(path, "node_modules/x"), "ignored");
    await sh(path, ["add", "README.md"]);

    const answer = await bench.git.push(bench.pushOrder());

    expect(answer).toEqual({ kind: "dirty", files: ["README.md", "lib/"] });
  });

  test("with nothing committed in this run on a branch that is there: dirty or up to date", async () => {
    await using bench = await workbench();
    const files = { a: "1\n" };
    const sha = await personPushes(bench, { branch: "boss/42", from: "origin/main", files });
    const { path } = await bench.git.prepare(bench.order());

    const clean = await bench.git.push(bench.pushOrder({ remoteSha: sha }));
    await writeFile(join(path, "a"), "2\n");
    const dirty = await bench.git.push(bench.pushOrder({ remoteSha: sha }));

    expect(clean).toEqual({ kind: "up_to_date", sha });
    expect(dirty).toEqual({ kind: "dirty", files: ["a"] });
  });

  test("tells who moved the branch, brings the new head into the clone and pushes after a rebase", async () => {
    await using bench = await workbench();
    const first = { branch: "boss/42", from: "origin/main", files: { a: "1\n" } };
    const before = await personPushes(bench, first);
    const { path } = await bench.git.prepare(bench.order());
    await commit(path, { mine: "1\n" }, "Mine");
    const theirs = await personPushes(bench, {
      branch: "boss/42",
      from: "boss/42",
      files: { theirs: "1\n" },
    });

    const answer = await bench.git.push(bench.pushOrder({ remoteSha: before }));

    expect(answer).toEqual({ kind: "moved", by: "Ada", sha: theirs });
    expect(await remoteHead(bench)).toBe(theirs);
    expect(await sh(path, ["rev-parse", "origin/boss/42"])).toBe(theirs);
    await sh(path, ["rebase", "-q", "origin/boss/42"]);
    const rebased = await sh(path, ["rev-parse", "HEAD"]);
    const second = await bench.git.push(bench.pushOrder({ remoteSha: theirs }));
    expect(second).toEqual({ kind: "pushed", sha: rebased });
    await sh(path, ["fsck", "--no-dangling"]);
  });

  test("tells a branch that appeared meanwhile, also one of the same name with another history", async () => {
    await using bench = await workbench();
    const { path } = await bench.git.prepare(bench.order());
    await commit(path, { mine: "1\n" }, "Mine");
    const files = { theirs: "1\n" };
    const sha = await personPushes(bench, { branch: "boss/42", from: "origin/main", files });

    const answer = await bench.git.push(bench.pushOrder());

    expect(answer).toEqual({ kind: "moved", by: "Ada", sha });
    expect(await remoteHead(bench)).toBe(sha);
  });

  test("tells the forge's words when a hook of the forge refuses", async () => {
    await using bench = await workbench();
    const { path } = await bench.git.prepare(bench.order());
    await commit(path, { a: "1\n" }, "Work");
    const hook = join(bench.origin, "hooks/pre-receive");
    await writeFile(hook, "#!/bin/sh\necho 'branch is protected' >&2\nexit 1\n");
    await chmod(hook, 0o755);

    const answer = await bench.git.push(bench.pushOrder());

    expect(answer.kind).toBe("refused");
    expect(answer).toMatchObject({ message: expect.stringContaining("branch is protected") });
  });

  test("is refused when the branch was deleted meanwhile", async () => {
    await using bench = await workbench();
    const files = { a: "1\n" };
    const remoteSha = await personPushes(bench, { branch: "boss/42", from: "origin/main", files });
    const { path } = await bench.git.prepare(bench.order());
    await commit(path, { b: "1\n" }, "Work");
    await sh(bench.person, ["push", "-q", "origin", ":boss/42"]);

    const answer = await bench.git.push(bench.pushOrder({ remoteSha }));

    expect(answer).toMatchObject({ kind: "refused" });
  });

  test("without a clone is a failure that says so", async () => {
    await using bench = await workbench();

    await expect(bench.git.push(bench.pushOrder())).rejects.toMatchObject({ kind: "not_found" });
  });
});

describe("inspect", () => {
  test("says where the clone stands", async () => {
    await using bench = await workbench();
    const { path, headSha } = await bench.git.prepare(bench.order());
    const fresh = await bench.git.inspect(ITEM, "boss", "main");
    const own = await commit(path, { a: "1\n" }, "Own");
    await writeFile(join(path, "b"), "x");

    const worked = await bench.git.inspect(ITEM, "boss", "main");

    expect(fresh).toEqual({ headSha, aheadOfBase: false, dirtyFiles: [] });
    expect(worked).toEqual({ headSha: own, aheadOfBase: true, dirtyFiles: ["b"] });
  });

  test("leaves no index lock or changed index in the clone", async () => {
    await using bench = await workbench();
    const { path } = await bench.git.prepare(bench.order());
    const before = await readFile(join(path, ".git/index"));
    await writeFile(join(path, "b"), "x");

    await bench.git.inspect(ITEM, "boss", "main");

    expect(await readFile(join(path, ".git/index"))).toEqual(before);
    expect(await readdir(join(path, ".git"))).not.toContain("index.lock");
  });
});

describe("reads of the cache", () => {
  test("readBase gives a file of a branch or commit, cut, and null for what is no file", async () => {
    await using bench = await workbench();
    await symlink("/etc/passwd", join(bench.person, "link"));
    const files = { "docs/guide.md": "hällo wörld\n", dir: "x" };
    const old = await sh(bench.origin, ["rev-parse", "main"]);
    await personPushes(bench, { branch: "main", from: "origin/main", files });
    const read = (path: string, branch = "main", bytes = 1000): Promise<string | null> =>
      bench.git.readBase("acme/widgets", branch, path, bytes);

    expect(await read("docs/guide.md")).toBe("hällo wörld\n");
    expect(await read("docs/guide.md", "main", 2)).toBe("h");
    expect(await read("docs/guide.md", old)).toBeNull();
    expect(await read("docs")).toBeNull();
    expect(await read("link")).toBeNull();
    expect(await read("missing")).toBeNull();
    expect(await read("*.md")).toBeNull();
    expect(await read("docs/guide.md", "no-such-branch")).toBeNull();
    for (const path of ["../x", "/etc/passwd", "./docs", "", "a\0b"])
      await expect(read(path)).rejects.toMatchObject({ kind: "broken" });
  });

  test("remoteHead is what the branch has now, null when it is not there", async () => {
    await using bench = await workbench();
    const push = { branch: "boss/42", from: "origin/main" };
    const before = await bench.git.remoteHead("acme/widgets", "boss/42");
    const first = await personPushes(bench, { ...push, files: { a: "1\n" } });
    const between = await bench.git.remoteHead("acme/widgets", "boss/42");
    const forced = await personPushes(bench, { ...push, files: { a: "2\n" }, force: true });

    const after = await bench.git.remoteHead("acme/widgets", "boss/42");

    expect([before, between, after]).toEqual([null, first, forced]);
  });

  test("diff shows what head adds since it left base, cut at the bytes", async () => {
    await using bench = await workbench();
    await personPushes(bench, { branch: "boss/42", from: "origin/main", files: { a: "mine\n" } });
    await personPushes(bench, { branch: "main", from: "origin/main", files: { b: "theirs\n" } });

    const whole = await bench.git.diff("acme/widgets", "main", "boss/42", 10_000);
    const cut = await bench.git.diff("acme/widgets", "main", "boss/42", 20);

    expect(whole).toContain("+mine");
    expect(whole).not.toContain("theirs");
    expect(cut).toBe(whole.slice(0, 20));
  });

  test("conflicts are what git merge-tree says, of branches and of shas", async () => {
    await using bench = await workbench();
    const mine = await personPushes(bench, {
      branch: "boss/42",
      from: "origin/main",
      files: { "README.md": "mine\n" },
    });
    expect(await bench.git.conflicts("acme/widgets", "main", mine)).toBe(false);
    const base = await personPushes(bench, {
      branch: "main",
      from: "origin/main",
      files: { "README.md": "theirs\n" },
    });

    expect(await bench.git.conflicts("acme/widgets", base, mine)).toBe(true);
    const unknown = bench.git.conflicts("acme/widgets", "main", "2".repeat(40));
    await expect(unknown).rejects.toMatchObject({ kind: "not_found" });
  });
});

describe("removeClones", () => {
  test("removes all clones of the item, nothing else, and counts them", async () => {
    await using bench = await workbench();
    await bench.git.prepare(bench.order());
    const locked = await bench.git.prepare(bench.order({ agent: "reviewer", branch: "r/42" }));
    const other = await bench.git.prepare(
      bench.order({ item: { ...ITEM, number: 43 }, branch: "boss/43" }),
    );
    await symlink(bench.person, join(locked.path, "way-out"));
    await mkdir(join(locked.path, "shut"));
    await writeFile(join(locked.path, "shut/file"), "x");
    await chmod(join(locked.path, "shut"), 0);

    expect(await bench.git.removeClones(ITEM)).toBe(2);
    expect(await bench.git.removeClones(ITEM)).toBe(0);

    expect(await readdir(join(bench.stateDir, "work/acme/widgets"))).toEqual(["43"]);
    expect(await readdir(join(bench.stateDir, "work/.trash"))).toEqual([]);
    expect(await readFile(join(other.path, "README.md"), "utf8")).toBe("widgets\n");
    expect(await readFile(join(bench.person, "README.md"), "utf8")).toBe("widgets\n");
  });

  test("refuses a directory that is really elsewhere", async () => {
    await using bench = await workbench();
    await bench.git.prepare(bench.order());
    const outside = join(bench.root, "outside");
    await mkdir(join(outside, "42/boss"), { recursive: true });
    await rm(join(bench.stateDir, "work/acme/widgets"), { recursive: true });
    await symlink(outside, join(bench.stateDir, "work/acme/widgets"));

    await expect(bench.git.removeClones(ITEM)).rejects.toThrow("is not inside");
    await expect(bench.git.prepare(bench.order())).rejects.toThrow("is not inside");
    expect(await readdir(join(outside, "42"))).toEqual(["boss"]);
  });

  test("a clone removed by hand is made anew", async () => {
    await using bench = await workbench();
    const { path } = await bench.git.prepare(bench.order());
    await rm(path, { recursive: true });

    expect(await bench.git.prepare(bench.order())).toMatchObject({ fresh: true, kept: null });
  });
});

describe("lockfileDigest", () => {
  test("changes with the content and place of lockfiles only, and follows no link", async () => {
    await using bench = await workbench();
    const { path } = await bench.git.prepare(bench.order());
    const digest = (): Promise<string> => bench.git.lockfileDigest(ITEM, "boss");
    const steps: (readonly [string, boolean, () => Promise<void>])[] = [
      ["a new lockfile", true, () => writeFile(join(path, "bun.lock"), "1")],
      ["another file", false, () => writeFile(join(path, "index.ts"), "1")],
      ["its content", true, () => writeFile(join(path, "bun.lock"), "2")],
      [
        "a lockfile of a package",
        true,
        async () => {
          await mkdir(join(path, "packages/a"), { recursive: true });
          await writeFile(join(path, "packages/a/go.sum"), "1");
        },
      ],
      [
        "an installed lockfile",
        false,
        async () => {
          await mkdir(join(path, "node_modules/b"), { recursive: true });
          await writeFile(join(path, "node_modules/b/yarn.lock"), "1");
        },
      ],
      ["a link", false, () => symlink("/etc/passwd", join(path, "uv.lock"))],
    ];

    for (const [what, changes, step] of steps) {
      const before = await digest();
      await step();
      expect([what, (await digest()) !== before]).toEqual([what, changes]);
    }
  });
});
