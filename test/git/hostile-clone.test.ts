import { describe, expect, test } from "bun:test";
import {
  appendFile,
  chmod,
  mkdir,
  readdir,
  readFile,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { dirname, join } from "node:path";
import type { PushAnswer } from "../../src/ports/git.ts";
import { commit, ITEM, personPushes, sh, type Workbench, workbench } from "./workbench.ts";

/** Where a plant that ran leaves its name. */
const markers = async (bench: Workbench): Promise<string[]> =>
  await readdir(join(bench.root, "ran"));

const HOOKS = [
  ...["applypatch-msg", "pre-applypatch", "post-applypatch", "pre-commit", "post-commit"],
  ...["prepare-commit-msg", "commit-msg", "post-checkout", "post-merge", "pre-push", "pre-rebase"],
  ...["pre-receive", "update", "post-receive", "post-update", "reference-transaction"],
  ...["post-index-change", "fsmonitor-watchman", "pre-auto-gc", "post-rewrite", "proc-receive"],
] as const;

/** Every key of git's configuration known to name a program, or to lead to one. */
function plantedConfig(run: (name: string) => string): string {
  return `
[core]
	fsmonitor = ${run("fsmonitor")}
	hooksPath = ${run("hooksPath").replace(/touch .*/, "")}.git/hooks
	sshCommand = ${run("sshCommand")}
	gitProxy = ${run("gitProxy")}
	askPass = ${run("askPass")}
	editor = ${run("editor")}
	pager = ${run("pager")}
	alternateRefsCommand = ${run("alternateRefsCommand")}
	worktree = /
	attributesFile = .git/planted-attributes
[uploadpack]
	packObjectsHook = ${run("packObjectsHook")}
	allowFilter = true
[filter "planted"]
	clean = ${run("clean")}
	smudge = ${run("smudge")}
	process = ${run("process")}
	required = true
[diff "planted"]
	command = ${run("diffCommand")}
	textconv = ${run("textconv")}
[diff]
	external = ${run("diffExternal")}
[merge "planted"]
	driver = ${run("mergeDriver")}
[gpg]
	program = ${run("gpg")}
[commit]
	gpgSign = true
[credential]
	helper = !${run("credential")}
[url "ext::${run("urlInsteadOf")}"]
	insteadOf = /
[protocol "ext"]
	allow = always
[remote "origin"]
	promisor = true
	partialCloneFilter = blob:none
	uploadpack = ${run("remoteUploadpack")}
	receivepack = ${run("remoteReceivepack")}
	vcs = ext
[submodule "sub"]
	update = !${run("submoduleUpdate")}
	url = ext::${run("submoduleUrl")}
[alias]
	upload-pack = !${run("alias")}
[trailer "x"]
	command = ${run("trailer")}
`;
}

/** Plants everything an agent could, in its clone, and commits what a commit can carry. */
async function plant(bench: Workbench, path: string): Promise<string> {
  const markerDirectory = join(bench.root, "ran");
  await mkdir(markerDirectory, { recursive: true });
  const run = (name: string): string => `touch ${join(markerDirectory, name)} #`;
  await writeFile(
    join(path, ".gitattributes"),
    "* filter=planted diff=planted merge=planted -text\n",
  );
  await mkdir(join(path, "nested"));
  await sh(path, ["init", "-q", "nested"]);
  await commit(join(path, "nested"), { x: "1\n" }, "Nested");
  await writeFile(join(path, ".gitmodules"), '[submodule "sub"]\n\tpath = nested\n\turl = ./x\n');
  await sh(path, ["-c", "advice.addEmbeddedRepo=false", "add", "-A"]);
  const head = await commit(path, { a: "1\n" }, "Work with plants");
  await sh(join(path, "nested"), ["config", "core.fsmonitor", run("nestedFsmonitor")]);
  await writeFile(join(path, "nested/x"), "changed\n");

  await mkdir(join(path, ".git/hooks"), { recursive: true });
  for (const hook of HOOKS) {
    const file = join(path, ".git/hooks", hook);
    await writeFile(file, `#!/bin/sh\n${run(hook)}\n`);
    await chmod(file, 0o755);
  }
  await mkdir(join(path, ".git/info"), { recursive: true });
  await writeFile(join(path, ".git/info/attributes"), "* filter=planted\n");
  await writeFile(join(path, ".git/planted-attributes"), "* filter=planted\n");
  await appendFile(join(path, ".git/config"), plantedConfig(run));
  return head;
}

describe("a hostile clone", () => {
  test("runs nothing while its commits are taken, pushed, inspected, digested and reset", async () => {
    await using bench = await workbench();
    const { path } = await bench.git.prepare(bench.order());
    const head = await plant(bench, path);

    const pushed = await bench.git.push(bench.pushOrder());
    await bench.git.inspect(ITEM, "boss", "main");
    await bench.git.lockfileDigest(ITEM, "boss");
    await bench.git.diff("acme/widgets", "main", head, 10_000);
    await bench.git.conflicts("acme/widgets", "main", head);
    const moved = await personPushes(bench, {
      branch: "boss/42",
      from: "origin/main",
      files: { b: "2\n" },
      force: true,
    });
    const answer = await bench.git.push(bench.pushOrder({ remoteSha: head }));
    await writeFile(join(path, "README.md"), "dirty");
    const again = await bench.git.prepare(bench.order());
    await bench.git.inspect(ITEM, "boss", "main");

    expect(await markers(bench)).toEqual([]);
    expect(pushed).toEqual({ kind: "pushed", sha: head });
    expect(answer).toEqual({ kind: "moved", by: "Ada", sha: moved } satisfies PushAnswer);
    expect(again.headSha).toBe(moved);
    expect(await readdir(join(path, ".git"))).not.toContain("hooks");
    expect(await readFile(join(path, ".git/config"), "utf8")).not.toContain("touch");
    expect(await sh(path, ["status", "--porcelain"])).toBe("");
  });

  test("runs nothing while it is removed and its commits are kept", async () => {
    await using bench = await workbench();
    const { path } = await bench.git.prepare(bench.order());
    const head = await plant(bench, path);

    expect(await bench.git.removeClone(ITEM, "boss")).toBe(true);

    expect(await markers(bench)).toEqual([]);
    const cache = join(bench.stateDir, "cache/acme/widgets.git");
    expect(await sh(cache, ["rev-parse", "refs/claude-hooks/removed-boss-42"])).toBe(head);
  });

  test("the plants are live: a plain git in the clone runs them", async () => {
    await using bench = await workbench();
    const { path } = await bench.git.prepare(bench.order());
    await plant(bench, path);

    await sh(path, ["--work-tree=.", "status"]).catch(() => "");
    await sh(path, ["--work-tree=.", "add", "nested/x", "README.md"]).catch(() => "");

    expect((await markers(bench)).length).toBeGreaterThan(0);
  });

  test("cannot have the service read or write through links in its .git", async () => {
    await using bench = await workbench();
    const secret = await personPushes(bench, {
      branch: "theirs",
      from: "origin/main",
      files: { secret: "x\n" },
    });
    const links: (readonly [string, (git: string) => Promise<void>])[] = [
      [".git", async (git) => await relink(git, join(bench.person, ".git"))],
      [
        "objects",
        async (git) => await relink(join(git, "objects"), join(bench.person, ".git/objects")),
      ],
      [
        "one object directory",
        async (git) =>
          await relink(
            join(git, "objects", secret.slice(0, 2)),
            join(bench.person, ".git/objects", secret.slice(0, 2)),
          ),
      ],
      [
        "alternates",
        async (git) => {
          await mkdir(join(git, "objects/info"), { recursive: true });
          await writeFile(
            join(git, "objects/info/alternates"),
            `${join(bench.person, ".git/objects")}\n`,
          );
        },
      ],
    ];
    await sh(bench.origin, ["update-ref", "-d", "refs/heads/theirs"]);
    let number = 100;
    for (const [what, link] of links) {
      number += 1;
      const item = { ...ITEM, number };
      const order = bench.order({ item, branch: `boss/${number}` });
      const { path } = await bench.git.prepare(order);
      await link(join(path, ".git"));
      await writeFile(join(path, ".git/HEAD"), `${secret}\n`);

      const push = bench.git.push(bench.pushOrder({ item, branch: order.branch }));

      expect([
        what,
        await push.then(
          () => "taken",
          (error) => error.kind,
        ),
      ]).toEqual([what, "broken"]);
    }
  });

  test("cannot have the service read through a link in place of HEAD, a branch or its directory", async () => {
    await using bench = await workbench();
    const { path, headSha } = await bench.git.prepare(bench.order());
    const outside = join(bench.root, "outside");
    await mkdir(outside);
    await writeFile(join(outside, "42"), `${headSha}\n`);
    const links = [
      ["HEAD", join(outside, "42")],
      ["refs/heads/boss/42", join(outside, "42")],
      ["refs/heads/boss", outside],
    ] as const;

    for (const [name, target] of links) {
      await relink(join(path, ".git", name), target);
      await expect(bench.git.push(bench.pushOrder())).rejects.toMatchObject({ kind: "broken" });
      await bench.git.prepare(bench.order());
    }
    await writeFile(join(path, ".git/HEAD"), "ref: refs/heads/../../../../outside/42\n");
    await expect(bench.git.push(bench.pushOrder())).rejects.toMatchObject({ kind: "broken" });
  });

  test.each([".git/refs/remotes", ".git/refs/remotes/origin", ".git/objects/pack"])(
    "cannot have the new head of a moved branch written through a link at %s",
    async (place) => {
      await using bench = await workbench();
      const { path } = await bench.git.prepare(bench.order());
      await commit(path, { mine: "1\n" }, "Mine");
      await personPushes(bench, { branch: "boss/42", from: "origin/main", files: { b: "1\n" } });
      const outside = join(bench.root, "outside");
      await mkdir(outside);
      await relink(join(path, place), outside);

      await bench.git.push(bench.pushOrder()).catch(() => undefined);

      expect(await readdir(outside)).toEqual([]);
    },
  );

  test("cannot push a tree that a checkout would refuse", async () => {
    await using bench = await workbench();
    const { path } = await bench.git.prepare(bench.order());
    const blob = await sh(path, ["hash-object", "-w", "README.md"]);
    const inner = await treeOf(path, `100755 blob ${blob}\tconfig`);
    const tree = await treeOf(path, `040000 tree ${inner}\t.git`);
    const evil = await sh(path, ["commit-tree", tree, "-p", "HEAD", "-m", "Evil"]);
    await writeFile(join(path, ".git/HEAD"), `${evil}\n`);

    await expect(bench.git.push(bench.pushOrder())).rejects.toMatchObject({ kind: "broken" });
  });

  test("cannot make the reset write through a link that stands for a directory", async () => {
    await using bench = await workbench();
    await personPushes(bench, {
      branch: "boss/42",
      from: "origin/main",
      files: { "src/index.ts": "1\n" },
    });
    const { path } = await bench.git.prepare(bench.order());
    const outside = join(bench.root, "outside");
    await mkdir(outside);
    await writeFile(join(outside, "index.ts"), "precious");
    await writeFile(join(outside, "other"), "precious");
    await relink(join(path, "src"), outside);

    await bench.git.prepare(bench.order());

    expect(await readFile(join(outside, "index.ts"), "utf8")).toBe("precious");
    expect(await readdir(outside)).toEqual(["index.ts", "other"]);
    expect(await readFile(join(path, "src/index.ts"), "utf8")).toBe("1\n");
  });
});

async function relink(path: string, target: string): Promise<void> {
  await rm(path, { recursive: true, force: true });
  await mkdir(dirname(path), { recursive: true });
  await symlink(target, path);
}

async function treeOf(cwd: string, line: string): Promise<string> {
  const child = Bun.spawn(["git", "mktree"], { cwd, stdin: "pipe", stdout: "pipe" });
  child.stdin.write(`${line}\n`);
  await child.stdin.end();
  return (await new Response(child.stdout).text()).trim();
}
