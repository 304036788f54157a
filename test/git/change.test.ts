import { describe, expect, test } from "bun:test";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { OutgoingWork } from "../../src/ports/git.ts";
import { commit, ITEM, personPushes, sh, type Workbench, workbench } from "./workbench.ts";

async function remoteHead(bench: Workbench): Promise<string | null> {
  return await bench.git.remoteHead(ITEM.repo, "boss/42");
}

describe("what a branch changes", () => {
  test("is counted in files, lines, bytes and links, against where it left the base", async () => {
    await using bench = await workbench();
    await sh(bench.person, ["checkout", "-q", "-B", "boss/42", "origin/main"]);
    await commit(bench.person, { "README.md": "one\ntwo\n", "a\tb": "x\n" }, "Text");
    await writeFile(join(bench.person, "blob"), new Uint8Array(300));
    await commit(bench.person, {}, "Binary");
    await mkdir(join(bench.person, "deep"));
    await symlink("/etc/passwd", join(bench.person, "deep/link"));
    await sh(bench.person, [
      ...["update-index", "--add", "--cacheinfo"],
      `160000,${await sh(bench.person, ["rev-parse", "HEAD"])},module`,
    ]);
    await sh(bench.person, ["add", "deep"]);
    await sh(bench.person, ["commit", "-q", "-m", "Links"]);
    await sh(bench.person, ["push", "-q", "origin", "boss/42"]);
    await personPushes(bench, { branch: "main", from: "origin/main", files: { other: "1\n" } });

    expect(await remoteHead(bench)).not.toBeNull();
    const change = await bench.git.change(ITEM.repo, "main", "boss/42");

    expect(change).toEqual({
      paths: ["README.md", "a\tb", "blob", "deep/link", "module"],
      // README.md: one line out, two in; "a\tb": one; the link: one; the submodule: one.
      lines: 6,
      bytes: 8 + 2 + 300 + "/etc/passwd".length,
      links: ["deep/link", "module"],
      complete: true,
    });
  });
});

describe("the check before a push", () => {
  test("sees messages, patches and the change, and what it objects to is not pushed", async () => {
    await using bench = await workbench();
    const { path } = await bench.git.prepare(bench.order());
    await commit(path, { a: "first\n" }, "One\n\nCloses #7");
    await commit(path, { a: "second\n" }, "Two");
    const seen: OutgoingWork[] = [];
    const check = async (work: OutgoingWork): Promise<string> => {
      seen.push(work);
      return await Promise.resolve("not so");
    };

    const answer = await bench.git.push(bench.pushOrder({ check }));

    expect(answer).toEqual({ kind: "objected", reason: "not so" });
    expect(await remoteHead(bench)).toBeNull();
    expect(seen).toHaveLength(1);
    expect(seen[0]?.messages).toEqual(["Two", "One\n\nCloses #7"]);
    // Also what a later commit took away again.
    expect(seen[0]?.text).toContain("+first");
    expect(seen[0]?.change).toMatchObject({ paths: ["a"], lines: 1, links: [] });
  });

  test("is asked about new commits only, and not at all when there is nothing to push", async () => {
    await using bench = await workbench();
    const { path } = await bench.git.prepare(bench.order());
    await commit(path, { a: "1\n" }, "One");
    const first = await bench.git.push(bench.pushOrder());
    const remoteSha = "sha" in first ? first.sha : "";
    await commit(path, { b: "1\n" }, "Two");
    const messages: (readonly string[])[] = [];
    const check = async (work: OutgoingWork): Promise<null> => {
      messages.push(work.messages);
      return await Promise.resolve(null);
    };

    const second = await bench.git.push(bench.pushOrder({ remoteSha, check }));
    const third = await bench.git.push(bench.pushOrder({ remoteSha, check }));

    expect([second.kind, third.kind]).toEqual(["pushed", "up_to_date"]);
    expect(messages).toEqual([["Two"]]);
  });
});

test("a branch that somebody moved is not overwritten by work that does not contain the move", async () => {
  await using bench = await workbench();
  const { path } = await bench.git.prepare(bench.order());
  await commit(path, { mine: "1\n" }, "Mine");
  const files = { theirs: "1\n" };
  const theirs = await personPushes(bench, { branch: "boss/42", from: "origin/main", files });
  expect(await bench.git.push(bench.pushOrder())).toMatchObject({ kind: "moved", sha: theirs });

  const stubborn = await bench.git.push(bench.pushOrder({ remoteSha: theirs, onto: theirs }));
  expect(stubborn).toEqual({ kind: "not_rebased", sha: theirs });
  expect(await remoteHead(bench)).toBe(theirs);

  await sh(path, ["rebase", "-q", "origin/boss/42"]);
  const rebased = await bench.git.push(bench.pushOrder({ remoteSha: theirs, onto: theirs }));
  expect(rebased.kind).toBe("pushed");
  expect(await sh(path, ["show", "HEAD:theirs"])).toBe("1");
});
