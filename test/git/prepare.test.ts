import { describe, expect, test } from "bun:test";
import { chmod, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { commit, IDENTITY, ITEM, personPushes, sh, workbench } from "./workbench.ts";

describe("a first prepare", () => {
  test("stands at the base on the agent's branch when the branch does not exist yet", async () => {
    await using bench = await workbench();
    const main = await sh(bench.origin, ["rev-parse", "main"]);

    const made = await bench.git.prepare(bench.order());

    const path = join(bench.stateDir, "work/acme/widgets/42/boss");
    expect(made).toEqual({
      path,
      headSha: main,
      baseSha: main,
      remoteSha: null,
      fresh: true,
      kept: null,
    });
    expect(await sh(path, ["symbolic-ref", "HEAD"])).toBe("refs/heads/boss/42");
    expect(await sh(path, ["status", "--porcelain"])).toBe("");
    expect(await readFile(join(path, "README.md"), "utf8")).toBe("widgets\n");
  });

  test("stands at the branch's remote head, with base and branch there to compare", async () => {
    await using bench = await workbench();
    const head = await personPushes(bench, {
      branch: "boss/42",
      from: "origin/main",
      files: { a: "1\n" },
    });

    const made = await bench.git.prepare(bench.order());

    expect(made.headSha).toBe(head);
    expect(made.remoteSha).toBe(head);
    expect(await sh(made.path, ["diff", "--name-only", "origin/main...HEAD"])).toBe("a");
    expect(await sh(made.path, ["rev-parse", "origin/boss/42"])).toBe(head);
  });

  test("stands detached at exactly the sha of a review, also when the branch has gone on", async () => {
    await using bench = await workbench();
    const reviewed = await personPushes(bench, {
      branch: "boss/42",
      from: "origin/main",
      files: { a: "1\n" },
    });
    const newer = await personPushes(bench, {
      branch: "boss/42",
      from: "boss/42",
      files: { a: "2\n" },
    });

    const made = await bench.git.prepare(bench.order({ agent: "reviewer", at: reviewed }));

    expect(made.headSha).toBe(reviewed);
    expect(made.remoteSha).toBe(newer);
    expect(await sh(made.path, ["rev-parse", "--abbrev-ref", "HEAD"])).toBe("HEAD");
    expect(await readFile(join(made.path, "a"), "utf8")).toBe("1\n");
  });

  test("fetches a sha that no branch leads to, as the head of a fork", async () => {
    await using bench = await workbench();
    await bench.git.prepare(bench.order());
    const fork = await personPushes(bench, {
      branch: "theirs",
      from: "origin/main",
      files: { a: "1\n" },
    });
    await sh(bench.origin, ["update-ref", "refs/pull/7/head", fork]);
    await sh(bench.origin, ["update-ref", "-d", "refs/heads/theirs"]);

    const made = await bench.git.prepare(bench.order({ branch: "theirs", at: fork }));

    expect([made.headSha, made.remoteSha]).toEqual([fork, null]);
  });

  test("names a missing base and a missing repository", async () => {
    await using bench = await workbench();

    const noBase = bench.git.prepare(bench.order({ base: "trunk" }));
    await expect(noBase).rejects.toMatchObject({ kind: "no_base" });
    const noRepo = bench.git.prepare(bench.order({ item: { repo: "acme/nothing", number: 1 } }));
    await expect(noRepo).rejects.toMatchObject({ kind: "not_found" });
    const noSha = bench.git.prepare(bench.order({ at: "1".repeat(40) }));
    await expect(noSha).rejects.toMatchObject({ kind: "not_found" });
  });

  test("gives the clone its own refs, config and identity and no credential or usable origin", async () => {
    await using bench = await workbench();

    const { path } = await bench.git.prepare(
      bench.order({ identity: { name: 'B "o" \\ss', email: "b@example.org" } }),
    );

    expect(await sh(path, ["config", "user.name"])).toBe('B "o" \\ss');
    expect(await sh(path, ["config", "user.email"])).toBe("b@example.org");
    expect(await sh(path, ["config", "remote.origin.url"])).toStartWith("/dev/null/");
    expect(await readdir(join(path, ".git"))).not.toContain("hooks");
    await expect(stat(join(path, ".git/objects/info/alternates"))).rejects.toThrow();
    await expect(sh(path, ["push", "origin", "HEAD"])).rejects.toThrow("does not appear");
  });

  test("copies objects, so that writing through a file of the clone leaves the cache alone", async () => {
    await using bench = await workbench();
    const { path, headSha } = await bench.git.prepare(bench.order());
    const packs = join(path, ".git/objects/pack");

    for (const name of await readdir(packs)) {
      await chmod(join(packs, name), 0o600);
      await writeFile(join(packs, name), "rubbish");
    }

    expect(await bench.git.readBase("acme/widgets", headSha, "README.md", 100)).toBe("widgets\n");
    await sh(join(bench.stateDir, "cache/acme/widgets.git"), ["fsck", "--no-dangling"]);
  });
});

describe("a later prepare", () => {
  test("begins at the remote head and keeps local commits in the cache", async () => {
    await using bench = await workbench();
    const { path } = await bench.git.prepare(bench.order());
    const lost = await commit(path, { a: "mine\n" }, "Not pushed");
    const head = await personPushes(bench, {
      branch: "boss/42",
      from: "origin/main",
      files: { b: "2\n" },
    });

    const again = await bench.git.prepare(bench.order({ run: "second" }));

    expect(again).toMatchObject({ headSha: head, fresh: false, kept: "refs/claude-hooks/second" });
    const cache = join(bench.stateDir, "cache/acme/widgets.git");
    expect(await sh(cache, ["rev-parse", "refs/claude-hooks/second"])).toBe(lost);
    expect((await readdir(path)).sort()).toEqual([".git", ".gitignore", "README.md", "b"]);
    expect(await sh(path, ["status", "--porcelain"])).toBe("");
  });

  test("keeps nothing when the clone has no commit of its own, also after a force-push", async () => {
    await using bench = await workbench();
    await personPushes(bench, { branch: "boss/42", from: "origin/main", files: { a: "1\n" } });
    await bench.git.prepare(bench.order());
    const forced = await personPushes(bench, {
      branch: "boss/42",
      from: "origin/main",
      files: { a: "2\n" },
      force: true,
    });

    const again = await bench.git.prepare(bench.order());

    expect([again.headSha, again.kept]).toEqual([forced, null]);
    expect(await readFile(join(again.path, "a"), "utf8")).toBe("2\n");
  });

  test("throws a clone away that was made to be read, and takes nothing out of it", async () => {
    await using bench = await workbench();
    const at = await sh(bench.person, ["rev-parse", "HEAD"]);
    const { path } = await bench.git.prepare(bench.order({ at }));
    const planted = await commit(path, { "node_modules/x": "x\n", a: "planted\n" }, "Planted");
    const cache = join(bench.stateDir, "cache/acme/widgets.git");
    const isKnown = async (): Promise<boolean> =>
      await sh(cache, ["cat-file", "-e", planted]).then(
        () => true,
        () => false,
      );

    await expect(bench.git.push(bench.pushOrder())).rejects.toMatchObject({ kind: "broken" });
    const again = await bench.git.prepare(bench.order({ at, run: "second" }));

    expect(again).toMatchObject({ fresh: true, kept: null, headSha: at });
    expect(await isKnown()).toBe(false);
    expect((await readdir(path)).sort()).toEqual([".git", ".gitignore", "README.md"]);

    // = what a run that writes has committed is taken, and is still taken after a run that only reads.
    await bench.git.prepare(bench.order({ run: "third" }));
    const own = await commit(path, { a: "mine\n" }, "Mine");
    const reading = await bench.git.prepare(bench.order({ at, run: "fourth" }));
    expect(reading.kept).toBe("refs/claude-hooks/fourth");
    expect(await sh(cache, ["rev-parse", "refs/claude-hooks/fourth"])).toBe(own);
  });

  test("drops changed and unknown files and keeps what the repository ignores", async () => {
    await using bench = await workbench();
    const { path } = await bench.git.prepare(bench.order());
    await writeFile(join(path, "README.md"), "scribbled");
    await writeFile(join(path, "junk"), "x");
    await mkdir(join(path, "node_modules/x"), { recursive: true });
    await writeFile(join(path, "node_modules/x/index.js"), "built");
    await sh(path, ["init", "-q", "nested"]);

    await bench.git.prepare(bench.order());

    expect((await readdir(path)).sort()).toEqual([
      ".git",
      ".gitignore",
      "README.md",
      "node_modules",
    ]);
    expect(await readFile(join(path, "README.md"), "utf8")).toBe("widgets\n");
    expect(await readFile(join(path, "node_modules/x/index.js"), "utf8")).toBe("built");
  });

  test("leaves unchanged files of the work tree as they are", async () => {
    await using bench = await workbench();
    const { path } = await bench.git.prepare(bench.order());
    const before = await stat(join(path, "README.md"));

    await bench.git.prepare(bench.order());

    const after = await stat(join(path, "README.md"));
    expect([after.ino, after.mtimeMs]).toEqual([before.ino, before.mtimeMs]);
  });

  test("begins at a freshly fetched base, whatever the agent did to its refs", async () => {
    await using bench = await workbench();
    const { path } = await bench.git.prepare(bench.order());
    const own = await commit(path, { evil: "x\n" }, "Own");
    await sh(path, ["update-ref", "refs/remotes/origin/main", own]);
    await sh(path, ["update-ref", "refs/heads/main", own]);

    const other = await bench.git.prepare(
      bench.order({ agent: "reviewer", branch: "reviewer/42" }),
    );
    const again = await bench.git.prepare(bench.order());

    const main = await sh(bench.origin, ["rev-parse", "main"]);
    expect([other.headSha, again.headSha]).toEqual([main, main]);
    expect(await sh(path, ["rev-parse", "origin/main"])).toBe(main);
    expect(await sh(path, ["branch", "--format=%(refname)"])).toBe("refs/heads/boss/42");
  });

  test("goes on with a clone whose .git is gone, half there or a file", async () => {
    await using bench = await workbench();
    const { path, headSha } = await bench.git.prepare(bench.order());
    const spoil = [
      () => rm(join(path, ".git"), { recursive: true }),
      () => rm(join(path, ".git/HEAD")),
      () => rm(join(path, ".git/objects"), { recursive: true }),
      async () => {
        await rm(join(path, ".git"), { recursive: true });
        await writeFile(join(path, ".git"), "gitdir: /etc\n");
      },
      async () => {
        await rm(join(path, ".git"), { recursive: true });
        await symlink(join(bench.person, ".git"), join(path, ".git"));
      },
    ];

    for (const how of spoil) {
      await how();
      const again = await bench.git.prepare(bench.order());
      expect(again).toMatchObject({ headSha, fresh: false, kept: null });
      expect(await sh(path, ["status", "--porcelain"])).toBe("");
    }
    expect(await sh(bench.person, ["rev-parse", "HEAD"])).toBe(headSha);
  });
});

describe("the cache", () => {
  const cacheOf = (stateDir: string): string => join(stateDir, "cache/acme/widgets.git");

  test("serves eight prepares of one repository at once", async () => {
    await using bench = await workbench();
    const numbers = [1, 2, 3, 4, 5, 6, 7, 8];

    const made = await Promise.all(
      numbers.map((number) =>
        bench.git.prepare(
          bench.order({ item: { ...ITEM, number }, branch: `boss/${number}`, run: `p${number}` }),
        ),
      ),
    );

    for (const one of made) expect(await sh(one.path, ["status", "--porcelain"])).toBe("");
    expect(new Set(made.map(({ path }) => path)).size).toBe(8);
    expect(bench.warnings).toEqual([]);
  });

  const damages: readonly (readonly [string, (cache: string) => Promise<unknown>])[] = [
    ["an empty directory", (cache) => emptied(cache)],
    ["no HEAD", (cache) => rm(join(cache, "HEAD"))],
    ["an empty config", (cache) => writeFile(join(cache, "HEAD"), "")],
    ["no packs", (cache) => emptied(join(cache, "objects/pack"))],
    [
      "locks of a killed git",
      async (cache) => {
        await mkdir(join(cache, "refs/remotes/origin"), { recursive: true });
        await writeFile(join(cache, "refs/remotes/origin/main.lock"), "");
        await writeFile(join(cache, "packed-refs.lock"), "");
        await writeFile(join(cache, "config.lock"), "");
      },
    ],
    [
      "a torn ref",
      async (cache) => {
        await mkdir(join(cache, "refs/remotes/origin"), { recursive: true });
        await writeFile(join(cache, "refs/remotes/origin/main"), "");
      },
    ],
  ];
  test.each(damages)("is made whole again after a kill that left %s", async (_what, damage) => {
    await using bench = await workbench();
    await bench.git.prepare(bench.order());
    const head = await personPushes(bench, {
      branch: "boss/42",
      from: "origin/main",
      files: { a: "1\n" },
    });
    await damage(cacheOf(bench.stateDir));

    const made = await bench.restart().prepare(bench.order());

    expect(made.headSha).toBe(head);
    await sh(cacheOf(bench.stateDir), ["fsck", "--no-dangling"]);
  });

  test("keeps the commits of runs when it is built anew", async () => {
    await using bench = await workbench();
    const { path } = await bench.git.prepare(bench.order());
    const own = await commit(path, { a: "1\n" }, "Own");
    expect(await bench.git.removeClone(ITEM, "boss")).toBe(true);
    await rm(join(cacheOf(bench.stateDir), "config"));

    await bench.restart().prepare(bench.order());

    const ref = "refs/claude-hooks/removed-boss-42";
    const kept = await sh(cacheOf(bench.stateDir), ["rev-parse", ref]);
    expect(kept).toBe(own);
  });

  test("holds no address, and half-made directories of a killed process go away", async () => {
    await using bench = await workbench();
    await mkdir(join(bench.stateDir, "work/.new/x-dead/.git"), { recursive: true });
    await mkdir(join(bench.stateDir, "cache/.trash/x-dead"), { recursive: true });

    await bench.git.prepare(bench.order());

    expect(await readdir(join(bench.stateDir, "work/.new"))).toEqual([]);
    expect(await readdir(join(bench.stateDir, "cache/.trash"))).toEqual([]);
    expect(await readFile(join(cacheOf(bench.stateDir), "config"), "utf8")).not.toContain("url");
  });

  test("follows a branch that became a directory of branches", async () => {
    await using bench = await workbench();
    await personPushes(bench, { branch: "boss", from: "origin/main", files: { a: "1\n" } });
    await bench.git.prepare(bench.order());
    await sh(bench.person, ["push", "-q", "origin", ":boss"]);
    await sh(bench.person, ["checkout", "-q", "main"]);
    await sh(bench.person, ["branch", "-D", "boss"]);
    const head = await personPushes(bench, {
      branch: "boss/42",
      from: "origin/main",
      files: { a: "2\n" },
    });

    expect((await bench.git.prepare(bench.order())).headSha).toBe(head);
  });
});

describe("names", () => {
  const refused = [
    { branch: "--upload-pack=touch x" },
    { branch: "a..b" },
    { branch: "a:main" },
    { branch: "+refs/heads/*" },
    { branch: "a b" },
    { branch: "x.lock" },
    { base: "-main" },
    { base: "@{u}" },
    { at: "HEAD" },
    { at: "--all" },
    { agent: "../boss" },
    { agent: "Boss" },
    { run: "../r" },
    { run: "" },
    { item: { repo: "../etc", number: 1 } },
    { item: { repo: "acme/..", number: 1 } },
    { item: { repo: "Acme/Widgets", number: 1 } },
    { item: { repo: "acme/widgets/x", number: 1 } },
    { item: { repo: ".trash/x", number: 1 } },
    { item: { repo: "acme/widgets", number: 0 } },
    { item: { repo: "acme/widgets", number: 1.5 } },
  ] as const;
  test.each(refused.map((change) => [JSON.stringify(change), change] as const))(
    "%s is refused before git runs",
    async (_text, change) => {
      await using bench = await workbench();

      const order = { ...bench.order(), ...change };

      await expect(bench.git.prepare(order)).rejects.toMatchObject({ kind: "broken" });
      expect(await readdir(join(bench.stateDir, "cache"))).not.toContain("acme");
    },
  );

  test("an identity with a line break is refused, so that it cannot add configuration", async () => {
    await using bench = await workbench();
    const identity = { ...IDENTITY, name: "x\n[core]\n\tfsmonitor = touch" };

    await expect(bench.git.prepare(bench.order({ identity }))).rejects.toThrow("line break");
  });
});

async function emptied(path: string): Promise<void> {
  await rm(path, { recursive: true });
  await mkdir(path);
}
