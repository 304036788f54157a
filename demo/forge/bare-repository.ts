import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Forge } from "./forge.ts";
import type { GitIdentity } from "./git-runner.ts";
import type { Account, Repo } from "./state.ts";

/** Refuses what a branch protection forbids; the refs come from the server, per push. */
const PRE_RECEIVE = `#!/bin/sh
while read -r old new ref; do
  case " $FORGE_PROTECTED_REFS " in
    *" $ref "*)
      echo "Forgejo: Not allowed to push to protected branch \${ref#refs/heads/}" >&2
      exit 1
      ;;
  esac
done
`;

/** Creates the bare repository on disk and sets `repo.path` and `repo.refs`. */
export async function createBareRepository(
  forge: Forge,
  repo: Repo,
  { id, autoInit, creator }: { id: number; autoInit: boolean; creator: Account },
): Promise<void> {
  repo.path = join(forge.git.root, `${id}.git`);
  await mkdir(repo.path, { recursive: true });
  const init = ["init", "--quiet", "--bare", `--initial-branch=${repo.defaultBranch}`, "."];
  await forge.git.read(repo.path, init);
  const settings = [
    ["http.receivepack", "true"],
    ["receive.hideRefs", "refs/pull/"],
    ["uploadpack.allowFilter", "true"],
    ["uploadpack.allowAnySHA1InWant", "true"],
    ["gc.auto", "0"],
    ["receive.autogc", "false"],
  ];
  const lines = settings.map(([key = "", value = ""]) => {
    const [section, name] = key.split(".");
    return `[${section}]\n\t${name} = ${value}\n`;
  });
  const config = join(repo.path, "config");
  await writeFile(config, `${await Bun.file(config).text()}${lines.join("")}`);
  await mkdir(join(repo.path, "hooks"), { recursive: true });
  await writeFile(join(repo.path, "hooks", "pre-receive"), PRE_RECEIVE, { mode: 0o755 });
  if (autoInit) await commitReadme(forge, repo, creator);
}

/** Deletes the bare repository from disk. */
export async function removeBareRepository(repo: Repo): Promise<void> {
  if (repo.path !== "") await rm(repo.path, { recursive: true, force: true });
}

/** Reads all branches, tags and pull request heads of the bare repository. */
export async function readRefs(forge: Forge, repo: Repo): Promise<Map<string, string>> {
  const text = await forge.git.read(repo.path, [
    "for-each-ref",
    "--format=%(objectname) %(refname)",
  ]);
  const pairs = text
    .split("\n")
    .filter((line) => line !== "")
    .map((line): [string, string] => [line.slice(41), line.slice(0, 40)]);
  return new Map(pairs);
}

/**
 * Moves a ref if it still is where it was seen; `after` null deletes it.
 * @returns false when somebody else has moved it meanwhile.
 */
export async function moveRef(
  forge: Forge,
  repo: Repo,
  { ref, before, after }: { ref: string; before: string; after: string | null },
): Promise<boolean> {
  const args =
    after === null ? ["update-ref", "-d", ref, before] : ["update-ref", ref, after, before];
  const result = await forge.git.run(repo.path, args);
  if (result.exitCode !== 0) return false;
  if (after === null) repo.refs.delete(ref);
  else repo.refs.set(ref, after);
  return true;
}

/** @returns the identity of commits the forge makes for an account. */
export function identityOf(account: Account): GitIdentity {
  return { name: account.fullName === "" ? account.login : account.fullName, email: account.email };
}

async function commitReadme(forge: Forge, repo: Repo, creator: Account): Promise<void> {
  const { read } = forge.git;
  const input = `# ${repo.name}\n\n${repo.description}\n`;
  const blob = await read(repo.path, ["hash-object", "-w", "--stdin"], { input });
  const tree = await read(repo.path, ["mktree"], { input: `100644 blob ${blob}\tREADME.md\n` });
  const identity = identityOf(creator);
  const commit = await read(repo.path, ["commit-tree", tree, "-m", "Initial commit"], { identity });
  const ref = `refs/heads/${repo.defaultBranch}`;
  await read(repo.path, ["update-ref", ref, commit]);
  repo.refs.set(ref, commit);
}
