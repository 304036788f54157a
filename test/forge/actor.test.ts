import { describe, expect, test } from "bun:test";
import type { MergeAnswer } from "../../src/ports/forge.ts";
import { REPO, type Site, site } from "./site.ts";
import { stub } from "./stub.ts";

const repos = `/repos/${REPO}`;

async function openPull(at: Site, branch = "boss/1"): Promise<{ number: number; sha: string }> {
  const sha = await at.push("boss", branch, { a: "1\n", b: "2\n" });
  const opened = await at.client.actor("boss").openPull(REPO, {
    ...{ head: branch, base: "main", title: "T", body: "B" },
  });
  return { number: opened.number, sha };
}

describe("an actor", () => {
  test("comments, edits its comment and reacts in its own name", async () => {
    await using at = await site();
    const issue = await at.api("ada", "POST", `${repos}/issues`, { title: "T" });
    const number = Number(issue["number"]);
    const boss = at.client.actor("boss");

    const { id } = await boss.comment(REPO, number, "first");
    await boss.react({ repo: REPO, number, comment: id }, "eyes");
    await boss.react({ repo: REPO, number, comment: null }, "confused");
    await boss.react({ repo: REPO, number, comment: null }, "confused");

    const comments = await at.client.reader.comments(REPO, number);
    expect(comments).toMatchObject([{ id, author: { login: "boss" }, body: "first" }]);
    const reactions = await at.api("ada", "GET", `${repos}/issues/${number}/reactions`);
    expect(reactions).toMatchObject([{ content: "confused", user: { login: "boss" } }]);
  });

  test("opens a pull request, and a second time names the open one", async () => {
    await using at = await site();
    const { number } = await openPull(at);
    const again = await at.client.actor("boss").openPull(REPO, {
      ...{ head: "boss/1", base: "main", title: "Other", body: "" },
    });

    expect(again).toEqual({ kind: "exists", number });
    const missing = at.client.actor("boss").openPull(REPO, {
      ...{ head: "nowhere", base: "main", title: "T", body: "" },
    });
    await expect(missing).rejects.toMatchObject({ kind: "not_found", status: 404 });
  });

  test("submits a verdict on the sha it names, sees its drafts and deletes them", async () => {
    await using at = await site();
    const { number, sha } = await openPull(at);
    const newer = await at.push("boss", "boss/1", { a: "2\n" });
    await at.api("reviewer", "POST", `${repos}/pulls/${number}/reviews`, { body: "draft" });
    const reviewer = at.client.actor("reviewer");

    const drafts = await reviewer.reviews(REPO, number);
    const seenByOthers = (await at.client.actor("boss").reviews(REPO, number)).length;
    for (const { id } of drafts) await reviewer.deleteReview(REPO, number, id);
    await reviewer.deleteReview(REPO, number, 999_999);
    const { id } = await reviewer.submitReview(REPO, number, {
      ...{ event: "APPROVED", body: "Good", commitId: sha },
      comments: [{ path: "b", line: 1, body: "nice" }],
    });

    expect(drafts.map(({ state }) => state)).toEqual(["PENDING"]);
    expect(seenByOthers).toBe(0);
    const [review] = await reviewer.reviews(REPO, number);
    expect(review).toMatchObject({ id, state: "APPROVED", commitId: sha, stale: true });
    expect(review?.comments).toMatchObject([{ path: "b", line: 1, body: "nice" }]);
    expect(newer).not.toBe(sha);
  });

  test("a verdict on its own pull request is refused in the forge's words", async () => {
    await using at = await site();
    const { number, sha } = await openPull(at);

    const own = at.client.actor("boss").submitReview(REPO, number, {
      ...{ event: "APPROVED", body: "", commitId: sha, comments: [] },
    });

    await expect(own).rejects.toMatchObject({ kind: "refused", status: 422 });
    await expect(own).rejects.toThrow("approve your own pull is not allowed");
  });

  test("asks for a review, and a branch is gone once", async () => {
    await using at = await site();
    const { number } = await openPull(at);
    const boss = at.client.actor("boss");
    await boss.requestReview(REPO, number, ["reviewer"]);

    const pull = await at.client.reader.pull(REPO, number);

    expect(pull.requestedReviewers.map(({ login }) => login)).toEqual(["reviewer"]);
    expect(pull.reviews.map(({ state }) => state)).toEqual(["REQUEST_REVIEW"]);
    expect(await boss.deleteBranch(REPO, "boss/1")).toBe(true);
    expect(await boss.deleteBranch(REPO, "boss/1")).toBe(false);
    await expect(boss.deleteBranch(REPO, "main")).rejects.toMatchObject({ kind: "forbidden" });
  });

  test("merges exactly the head it names, and cancels a schedule", async () => {
    await using at = await site();
    const { number, sha } = await openPull(at);
    const head = await at.push("boss", "boss/1", { a: "2\n" });
    const lead = at.client.actor("code-lead");

    const stale = await lead.merge(REPO, number, { style: "merge", headSha: sha });
    await at.api("code-lead", "POST", `${repos}/pulls/${number}/merge`, {
      ...{ Do: "merge", merge_when_checks_succeed: true },
    });
    await lead.cancelScheduledMerge(REPO, number);
    await lead.cancelScheduledMerge(REPO, number);
    const merged = await lead.merge(REPO, number, { style: "merge", headSha: head });
    const again = await lead.merge(REPO, number, { style: "merge", headSha: head });

    expect(stale).toMatchObject({ kind: "head_moved" });
    expect(merged).toEqual({ kind: "merged" });
    expect(again).toMatchObject({ kind: "refused", status: 405 });
  });

  test("an unknown agent is a bug that says so", async () => {
    await using at = await site();

    expect(() => at.client.actor("nobody")).toThrow("no agent named nobody");
  });
});

describe("the answers of a merge", () => {
  const behind = "not allowed to merge [reason: The head branch is behind the base branch]";
  const answers: readonly (readonly [number, unknown, MergeAnswer])[] = [
    [200, null, { kind: "merged" }],
    [201, null, { kind: "scheduled" }],
    [
      405,
      { message: "Please try again later" },
      { kind: "try_later", message: "Please try again later" },
    ],
    [405, { message: behind }, { kind: "behind", message: behind }],
    [405, {}, { kind: "refused", status: 405, message: "" }],
    [
      405,
      { message: "Does not have enough approvals" },
      { kind: "refused", status: 405, message: "Does not have enough approvals" },
    ],
    [409, { message: "head out of date" }, { kind: "head_moved", message: "head out of date" }],
    [
      409,
      { message: "merge push out of date" },
      { kind: "try_later", message: "merge push out of date" },
    ],
    [
      409,
      { Style: "merge", StdOut: "CONFLICT", StdErr: "", Err: {} },
      { kind: "conflict", message: "" },
    ],
    [
      409,
      { message: "PushRejected without remote error message" },
      { kind: "refused", status: 409, message: "PushRejected without remote error message" },
    ],
    [404, { message: "gone" }, { kind: "refused", status: 404, message: "gone" }],
    [423, { message: "archived" }, { kind: "refused", status: 423, message: "archived" }],
  ];
  test.each(answers)("%i %j is told apart", async (status, body, expected) => {
    await using at = stub(() =>
      body === null ? new Response(null, { status }) : Response.json(body, { status }),
    );

    const answer = await at
      .client()
      .actor("boss")
      .merge(REPO, 5, { style: "squash", headSha: "abc" });

    expect(answer).toEqual(expected);
    expect(at.seen).toEqual([
      {
        call: `POST ${repos}/pulls/5/merge`,
        body: { Do: "squash", head_commit_id: "abc" },
        authorization: "token boss-token",
      },
    ]);
  });

  test.each([
    [401, "auth"],
    [403, "forbidden"],
    [500, "unavailable"],
    [429, "rate_limited"],
  ] as const)(
    "%i is no statement about the pull request and is sent once",
    async (status, kind) => {
      await using at = stub(() => Response.json({ message: "" }, { status }));

      const merge = at.client().actor("boss").merge(REPO, 5, { style: "merge", headSha: "abc" });

      await expect(merge).rejects.toMatchObject({ name: "ForgeFailure", kind, status });
      expect(at.seen).toHaveLength(1);
    },
  );
});
