import type { ContractCase } from "../contract-case.ts";
import { eventually } from "../eventually.ts";
import { at } from "../forge-client.ts";

/** git over HTTP. */
export const gitCases: ContractCase[] = [
  {
    name: "a push by a writer shows the branch at the pushed sha",
    restsOn: "Forgejo routers/web/repo/githttp.go",
    run: async (world, check) => {
      const branch = world.unique("topic/slash");
      const sha = await world.push("boss", { branch });
      const answer = await world.inRepo("boss", "GET", `/branches/${encodeURIComponent(branch)}`);

      check.same("status", 200, answer.status);
      check.same("sha", sha, at(answer.body, "commit.id"));
    },
  },
  {
    name: "a push by a reader is refused and moves nothing",
    restsOn: "Forgejo routers/web/repo/githttp.go",
    run: async (world, check) => {
      const branch = world.unique("topic");
      const pushed = await world.git("guest", [
        "push",
        "origin",
        `origin/main:refs/heads/${branch}`,
      ]);
      const answer = await world.inRepo("owner", "GET", `/branches/${branch}`);

      check.that("git fails", pushed.exitCode !== 0, pushed.stderr);
      check.same("no branch", 404, answer.status);
    },
  },
  {
    name: "a reader may fetch, an outsider and an anonymous caller may not",
    restsOn: "Forgejo routers/web/repo/githttp.go",
    run: async (world, check) => {
      const guest = await world.git("guest", ["ls-remote", "origin", "refs/heads/main"]);
      const outsider = await world.git("outsider", ["ls-remote", "origin"]);
      const nobody = await world.git("nobody", ["ls-remote", "origin"]);

      check.same("guest", 0, guest.exitCode);
      check.that("outsider fails", outsider.exitCode !== 0, outsider.stderr);
      check.that("anonymous fails", nobody.exitCode !== 0, nobody.stderr);
    },
  },
  {
    name: "a wrong token is answered with 401 and a challenge",
    restsOn: "Forgejo services/auth/basic.go",
    run: async (world, check) => {
      const url = `${world.forge.url}/${world.fullName}.git/info/refs?service=git-upload-pack`;
      const response = await fetch(url, {
        headers: { Authorization: `Basic ${btoa(`x:${"0".repeat(40)}`)}` },
      });
      await response.text();

      check.same("status", 401, response.status);
    },
  },
  {
    name: "the head of a pull request is fetchable as refs/pull/N/head",
    restsOn: "Forgejo models/issues/pull.go GetGitRefName",
    run: async (world, check) => {
      const pull = await world.newPull();
      const ref = `refs/pull/${pull.number}/head`;
      const seen = await eventually(async () => {
        const result = await world.git("guest", ["ls-remote", "origin", ref]);
        return result.stdout.includes(ref) ? result.stdout : undefined;
      });

      check.same("sha", pull.sha, seen?.slice(0, 40));
    },
  },
  {
    name: "refs/pull cannot be pushed to",
    restsOn: "Forgejo modules/git: receive.hideRefs, services/repository hook checks",
    run: async (world, check) => {
      const pull = await world.newPull();
      const target = `origin/main:refs/pull/${pull.number}/head`;
      const pushed = await world.git("owner", ["push", "--force", "origin", target]);

      check.that("git fails", pushed.exitCode !== 0, pushed.stderr);
    },
  },
  {
    name: "a lease on the wrong sha is refused and one on the right sha holds",
    restsOn: "git push --force-with-lease over the forge's receive-pack",
    run: async (world, check) => {
      const branch = world.unique("lease");
      const sha = await world.push("boss", { branch });
      const target = `origin/main:refs/heads/${branch}`;
      const wrong = `--force-with-lease=refs/heads/${branch}:${"1".repeat(40)}`;
      const right = `--force-with-lease=refs/heads/${branch}:${sha}`;
      const first = await world.git("boss", ["push", wrong, "origin", target]);
      const second = await world.git("boss", ["push", right, "origin", target]);

      check.that("the wrong lease fails", first.exitCode !== 0, first.stderr);
      check.same("the right lease", 0, second.exitCode);
    },
  },
  {
    name: "a clone may leave blobs out and ask for them later",
    restsOn: "Forgejo modules/git/git.go uploadpack.allowfilter",
    run: async (world, check) => {
      const directory = world.unique("partial");
      const url = `${world.forge.url}/${world.fullName}.git`;
      const args = ["clone", "--quiet", "--bare", "--filter=blob:none", url, directory];
      const clone = await world.git("guest", args);
      const shown = await world.git("guest", ["-C", directory, "show", "HEAD:README.md"]);

      check.same("clone", 0, clone.exitCode);
      check.that("no warning about filters", !clone.stderr.includes("filtering not"), clone.stderr);
      check.same("blob is fetched", 0, shown.exitCode);
    },
  },
  {
    name: "a protected branch cannot be pushed to or deleted",
    restsOn: "Forgejo routers/private/hook_pre_receive.go",
    run: async (world, check) => {
      const branch = world.unique("protected");
      await world.push("boss", { branch });
      const made = await world.inRepo("owner", "POST", "/branch_protections", {
        rule_name: branch,
        enable_push: false,
      });
      const pushed = await world.git("boss", [
        "push",
        "--force",
        "origin",
        `origin/main:${branch}`,
      ]);
      const deleted = await world.inRepo("boss", "DELETE", `/branches/${branch}`);
      const byReader = await world.inRepo("boss", "GET", "/branch_protections");

      check.same("made", 201, made.status);
      check.that("git fails", pushed.exitCode !== 0, pushed.stderr);
      check.same("delete", 403, deleted.status);
      check.oneOf("listing needs an administrator", [403, 404], byReader.status);
    },
  },
];
