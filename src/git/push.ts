import { GitFailure, type PushAnswer, type PushOrder } from "../ports/git.ts";
import { bringIntoClone } from "./bring-into-clone.ts";
import { cloneRoot, dirtyFiles, takeHead } from "./inspect.ts";
import { checkBranch, checkRun, checkSha } from "./names.ts";
import { outgoing } from "./outgoing.ts";
import { type Place, preparedRef } from "./place.ts";
import { isAncestor } from "./refs.ts";
import { GitExit } from "./run-git.ts";

const PUSH_TIMEOUT_MS = 600_000;
const MESSAGE_CHARACTERS_MAX = 600;

/**
 * Pushes HEAD of the clone from the cache to exactly refs/heads/<branch>, with a lease on the sha
 * the run was prepared from. Pushing what is there already is `up_to_date`, so that a repeated
 * effect is the same effect. @throws GitFailure when no statement about the branch is possible.
 */
export async function push(place: Place, order: PushOrder): Promise<PushAnswer> {
  checkBranch(order.branch);
  checkBranch(order.base);
  checkRun(order.run);
  if (order.remoteSha !== null) checkSha(order.remoteSha);
  const root = await cloneRoot(place, order);
  const head = await takeHead(place, order, root);
  const before = await look(place, order);
  if (before.branch === head && head !== order.remoteSha) return { kind: "up_to_date", sha: head };
  const isInBase = await isAncestor(place.git, before.cache, { of: before.base, commit: head });
  if (isInBase || head === order.remoteSha) {
    const files = await dirtyFiles(place, { repo: order.item.repo, root, headSha: head });
    if (files.length > 0) return { kind: "dirty", files };
    if (isInBase) return { kind: "no_commits" };
  }
  if (before.branch === head) return { kind: "up_to_date", sha: head };
  if (before.branch !== order.remoteSha) return await moved(place, order, { root, head, before });
  const onto = order.onto ?? null;
  if (
    onto !== null &&
    !(await isAncestor(place.git, before.cache, { of: head, commit: checkSha(onto) }))
  )
    return { kind: "not_rebased", sha: onto };
  if (order.check !== undefined) {
    const { cache, base, branch } = before;
    const reason = await order.check(await outgoing(place, { cache, base, branch, head }));
    if (reason !== null) return { kind: "objected", reason };
  }
  const refused = await send(place, order, head);
  if (refused === null) {
    await place.cache.exclusive(order.item.repo, async (cache) => {
      const input = `update refs/remotes/origin/${order.branch} ${head}\nupdate ${preparedRef(order.agent, order.item.number)} ${head}\n`;
      await place.git({ args: ["update-ref", "--stdin"], cwd: cache, input });
    });
    return { kind: "pushed", sha: head };
  }
  const after = await look(place, order);
  if (after.branch === head) return { kind: "up_to_date", sha: head };
  if (after.branch !== order.remoteSha)
    return await moved(place, order, { root, head, before: after });
  return { kind: "refused", message: refused };
}

interface Remote {
  readonly cache: string;
  readonly branch: string | null;
  readonly base: string;
}

async function look(place: Place, order: PushOrder): Promise<Remote> {
  const { path: cache, refs } = await place.cache.refresh(order.item.repo);
  const branch = refs.branch(order.branch);
  const base = refs.branch(order.base);
  if (base === null)
    throw new GitFailure("not_found", `${order.item.repo} has no branch ${order.base}`);
  return { cache, branch, base };
}

async function moved(
  place: Place,
  order: PushOrder,
  at: { readonly root: string; readonly head: string; readonly before: Remote },
): Promise<PushAnswer> {
  const { branch, base, cache } = at.before;
  if (branch === null)
    return { kind: "refused", message: `the branch ${order.branch} was deleted on the forge` };
  try {
    await bringIntoClone(place, {
      repo: order.item.repo,
      root: at.root,
      has: at.head,
      branches: [
        { name: order.branch, sha: branch },
        { name: order.base, sha: base },
      ],
    });
  } catch (error) {
    place.log.warn("a moved branch could not be brought into the clone", {
      repo: order.item.repo,
      number: order.item.number,
      agent: order.agent,
      run: order.run,
      error: String(error),
    });
    throw error;
  }
  const by = await place.git({ args: ["log", "-1", "--format=%cn", branch], cwd: cache });
  return { kind: "moved", by: by.stdout.trim().slice(0, 100) || "somebody", sha: branch };
}

/** @returns null when the forge took it, else its words. */
async function send(place: Place, order: PushOrder, head: string): Promise<string | null> {
  const remote = place.remote(order.item.repo, order.agent);
  const ref = `refs/heads/${order.branch}`;
  try {
    await place.git({
      args: [
        ...["push", "--porcelain", "--no-verify", "--no-signed", "--no-follow-tags"],
        ...["--recurse-submodules=no", `--force-with-lease=${ref}:${order.remoteSha ?? ""}`],
        ...["--", remote.url, `${head}:${ref}`],
      ],
      cwd: place.cache.path(order.item.repo),
      remote,
      timeoutMs: PUSH_TIMEOUT_MS,
    });
    return null;
  } catch (error) {
    if (error instanceof GitExit && error.isRejection) return forgeWords(error);
    throw error;
  }
}

function forgeWords(error: GitExit): string {
  const words = `${error.stdout}\n${error.stderr}`
    .split("\n")
    .filter((line) => line.startsWith("remote:") || line.startsWith("!"))
    .map((line) =>
      line
        .replace(/^remote:\s*/, "")
        .replace(/\s+/g, " ")
        .trim(),
    )
    .filter((line) => line !== "");
  return words.join(" | ").slice(0, MESSAGE_CHARACTERS_MAX) || "the forge refused the push";
}
