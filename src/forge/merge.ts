import type { MergeAnswer, MergeOrder } from "../ports/forge.ts";
import type { Caller } from "./calls.ts";
import { messageOf, refusalOf } from "./exchange.ts";
import { repoPath } from "./paths.ts";

/**
 * Asks once for the merge of exactly `headSha`, and puts the answer into our words. Forgejo:
 * routers/api/v1/repo/pull.go MergePullRequest, services/pull/{check,merge}.go. 200 merged; 201
 * scheduled; 404 closed; 405 not allowed (the text says why; "Please try again later" while
 * mergeability is computed, and also for a conflict that was found); 409 head moved, base moved
 * while merging, or a conflict, whose body is Go's error struct without `message`. Other refusals
 * (413, 422, 423) carry the forge's words. Never sets force_merge.
 * @throws ForgeFailure `auth`, `forbidden`, `rate_limited`, `unavailable`: whether it was merged
 * must then be read from the pull request.
 */
export async function merge(
  caller: Caller,
  repo: string,
  of: { readonly pull: number; readonly order: MergeOrder },
): Promise<MergeAnswer> {
  const request = {
    method: "POST",
    path: repoPath(repo, "pulls", of.pull, "merge"),
    body: { Do: of.order.style, head_commit_id: of.order.headSha },
  } as const;
  const answer = await caller.send(request);
  const { status } = answer;
  const message = messageOf(answer);
  if (status === 200) return { kind: "merged" };
  if (status === 201) return { kind: "scheduled" };
  if (status === 405) return notAllowed(message);
  if (status === 409) return conflicting(message);
  if (status === 401 || status === 403) throw refusalOf({ ...request, token: "" }, answer);
  return { kind: "refused", status, message };
}

function notAllowed(message: string): MergeAnswer {
  if (/try again later/i.test(message)) return { kind: "try_later", message };
  if (/behind the base branch/i.test(message)) return { kind: "behind", message };
  return { kind: "refused", status: 405, message };
}

function conflicting(message: string): MergeAnswer {
  if (/head out of date/i.test(message)) return { kind: "head_moved", message };
  if (/push out of date/i.test(message)) return { kind: "try_later", message };
  if (message === "" || /conflict/i.test(message)) return { kind: "conflict", message };
  return { kind: "refused", status: 409, message };
}
