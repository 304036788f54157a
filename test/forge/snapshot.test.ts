import { describe, expect, test } from "bun:test";
import type { Pull, Snapshot } from "../../src/domain/snapshot.ts";
import { REPO, type Site, site } from "./site.ts";

const repos = `/repos/${REPO}`;

async function withIssue(at: Site): Promise<number> {
  const issue = await at.api("ada", "POST", `${repos}/issues`, {
    title: "Broken",
    body: "It is",
    assignees: ["boss"],
  });
  return Number(issue["number"]);
}

async function withPull(at: Site, number: number): Promise<number> {
  await at.push("boss", `boss/${number}`, { a: "1\n", "src/b": "2\n" });
  const opened = await at.client.actor("boss").openPull(REPO, {
    head: `boss/${number}`,
    base: "main",
    title: "Mend it",
    body: "Done",
  });
  return opened.number;
}

const pullOf = (snapshot: Snapshot): Pull => {
  if (snapshot.pull === null) throw new Error("the snapshot has no pull request");
  return snapshot.pull;
};

describe("a snapshot of an issue", () => {
  test("has the issue, who may write, and who assigned it when", async () => {
    await using at = await site();
    await at.api("ada", "POST", `${repos}/labels`, { name: "agent", color: "#00aabb" });
    const number = await withIssue(at);
    await at.api("ada", "POST", `${repos}/issues/${number}/labels`, { labels: ["agent"] });
    await at.api("outsider", "POST", `${repos}/issues/${number}/comments`, { body: "Me too" });
    await at.api("ada", "PATCH", `${repos}/issues/${number}`, { assignees: ["boss", "reviewer"] });
    await at.api("ada", "PATCH", `${repos}/issues/${number}`, { assignees: ["boss"] });
    await at.api("ada", "PATCH", `${repos}/issues/${number}`, { state: "closed" });
    await at.api("ada", "PATCH", `${repos}/issues/${number}`, { state: "open" });

    const snapshot = await at.snapshot(number);

    const { ada, boss, reviewer, outsider } = at.ids;
    expect(snapshot).toMatchObject({
      item: { repo: REPO, number },
      kind: "issue",
      title: "Broken",
      body: "It is",
      author: { id: ada, login: "ada" },
      state: "open",
      assignees: [{ id: boss, login: "boss" }],
      labels: ["agent"],
      pull: null,
    });
    const rows = snapshot.acts.map(({ kind, actor, subject, label }) => ({
      ...{ kind, label },
      ids: [actor.id, subject?.id ?? null],
    }));
    expect(rows).toEqual([
      { kind: "assigned", label: null, ids: [ada, boss] },
      { kind: "labeled", label: "agent", ids: [ada, null] },
      { kind: "assigned", label: null, ids: [ada, reviewer] },
      { kind: "unassigned", label: null, ids: [ada, reviewer] },
      { kind: "closed", label: null, ids: [ada, null] },
      { kind: "reopened", label: null, ids: [ada, null] },
    ]);
    expect(snapshot.comments).toMatchObject([{ number, author: { id: outsider }, body: "Me too" }]);
    const logins = snapshot.writers.map(({ login }) => login).sort();
    expect(logins).toEqual(["ada", "boss", "code-lead", "reviewer"]);
    expect(Math.abs(snapshot.updatedAt - Date.now())).toBeLessThan(60_000);
  });

  test("finds its newest pull request by branch, with reviews, checks and paths", async () => {
    await using at = await site();
    const number = await withIssue(at);
    const first = await withPull(at, number);
    await at.api("ada", "PATCH", `${repos}/pulls/${first}`, { state: "closed" });
    const second = (
      await at.client.actor("boss").openPull(REPO, {
        ...{ head: `boss/${number}`, base: "main", title: "WIP: again", body: "" },
      })
    ).number;
    const sha = await at.push("boss", `boss/${number}`, { a: "3\n" });
    await at.client.actor("boss").requestReview(REPO, second, ["reviewer"]);
    for (const [context, state] of [
      ["ci", "pending"],
      ["lint", "success"],
      ["ci", "failure"],
    ])
      await at.api("ada", "POST", `${repos}/statuses/${sha}`, { context, state });
    await at.client.actor("reviewer").submitReview(REPO, second, {
      event: "REQUEST_CHANGES",
      body: "No",
      commitId: sha,
      comments: [{ path: "a", line: 1, body: "Why 3?" }],
    });
    await at.api("boss", "POST", `${repos}/issues/${second}/comments`, { body: "On it" });

    const snapshot = await at.snapshot(number);

    expect(snapshot.pull).toMatchObject({
      number: second,
      draft: true,
      state: "open",
      merged: false,
      headBranch: `boss/${number}`,
      headSha: sha,
      sameRepo: true,
      baseBranch: "main",
      author: { login: "boss" },
      endedAt: null,
    });
    const pull = pullOf(snapshot);
    expect(pull.changedPaths.toSorted()).toEqual([".keep", "a", "src/b"]);
    expect(pull.checks.map(({ context, state }) => [context, state])).toEqual([
      ["lint", "success"],
      ["ci", "failure"],
    ]);
    const review = pull.reviews.find(({ state }) => state === "REQUEST_CHANGES");
    expect(review).toMatchObject({
      author: { id: at.ids.reviewer },
      commitId: sha,
      official: true,
      stale: false,
      dismissed: false,
      body: "No",
      comments: [{ path: "a", line: 1, body: "Why 3?" }],
    });
    expect(snapshot.comments.map(({ number: thread, body }) => [thread, body])).toEqual([
      [second, "On it"],
    ]);
    const request = snapshot.acts.find(({ kind }) => kind === "review_requested");
    expect(request).toMatchObject({
      number: second,
      actor: { login: "boss" },
      subject: { login: "reviewer" },
    });
  });

  test("keeps the branch name of a pull request whose branch is gone, and its end", async () => {
    await using at = await site();
    const number = await withIssue(at);
    const pull = await withPull(at, number);
    const { headSha } = await at.client.reader.pull(REPO, pull);
    const merged = await at.client
      .actor("code-lead")
      .merge(REPO, pull, { style: "merge", headSha });
    expect(merged).toEqual({ kind: "merged" });
    expect(await at.client.actor("code-lead").deleteBranch(REPO, `boss/${number}`)).toBe(true);

    const snapshot = await at.snapshot(number);

    expect(snapshot.pull).toMatchObject({
      number: pull,
      state: "closed",
      merged: true,
      headBranch: `boss/${number}`,
      headSha,
    });
    expect(pullOf(snapshot).endedAt).toBeGreaterThan(0);
  });

  test("does not take a pull request of the same branch name by somebody else", async () => {
    await using at = await site();
    const number = await withIssue(at);
    await at.push("ada", `boss/${number}`, { a: "1\n" });
    await at.api("ada", "POST", `${repos}/pulls`, {
      ...{ head: `boss/${number}`, base: "main", title: "Mine" },
    });

    expect((await at.snapshot(number)).pull).toBeNull();
  });

  test("takes a pull request the caller knows to belong to it, whatever its branch", async () => {
    await using at = await site();
    const number = await withIssue(at);
    await at.push("boss", "elsewhere", { a: "1\n" });
    const opened = await at.client.actor("boss").openPull(REPO, {
      ...{ head: "elsewhere", base: "main", title: "T", body: "" },
    });

    const snapshot = await at.client.reader.snapshot({
      ...{ item: { repo: REPO, number }, pulls: [opened.number], branches: [], previous: null },
    });

    expect(snapshot.pull?.number).toBe(opened.number);
  });
});

test("a pull request of its own is read once, as kind pull", async () => {
  await using at = await site();
  await at.push("ada", "fix", { a: "1\n" });
  const made = await at.api("ada", "POST", `${repos}/pulls`, {
    ...{ head: "fix", base: "main", title: "Fix", body: "B" },
  });
  const number = Number(made["number"]);
  await at.api("ada", "POST", `${repos}/issues/${number}/comments`, { body: "Look" });

  const snapshot = await at.snapshot(number);

  expect(snapshot).toMatchObject({ kind: "pull", title: "Fix", pull: { number, title: "Fix" } });
  expect(snapshot.comments).toHaveLength(1);
});

describe("a snapshot with a previous one", () => {
  /** As if the previous snapshot had been read long after everything in it. */
  const later = (snapshot: Snapshot): Snapshot => ({
    ...snapshot,
    readAt: snapshot.readAt + 60_000,
  });

  test("does not read again what updated_at proves unchanged, but reviews and statuses", async () => {
    await using at = await site();
    const number = await withIssue(at);
    const pull = await withPull(at, number);
    await at.api("ada", "POST", `${repos}/issues/${number}/comments`, { body: "Hi" });
    const before = later(await at.snapshot(number));

    let again: Snapshot = before;
    const requests = await at.requests(async () => {
      again = await at.snapshot(number, before);
    });

    expect({ ...again, readAt: 0 }).toEqual({ ...before, readAt: 0 });
    const paths = requests.map((request) => request.split("?")[0]).toSorted();
    expect(paths).toEqual(
      [
        `GET ${repos}/commits/${before.pull?.headSha}/statuses`,
        `GET ${repos}/issues/${number}`,
        `GET ${repos}/issues/${number}/comments`,
        `GET ${repos}/issues/${pull}/comments`,
        `GET ${repos}/pulls`,
        `GET ${repos}/pulls/${pull}/reviews`,
      ].toSorted(),
    );
  });

  test("loses a deleted comment and has an edited one anew though updated_at did not move", async () => {
    await using at = await site();
    const number = await withIssue(at);
    const path = `${repos}/issues/${number}/comments`;
    const gone = Number((await at.api("ada", "POST", path, { body: "Hi" }))["id"]);
    const edited = Number((await at.api("ada", "POST", path, { body: "Ho" }))["id"]);
    const before = later(await at.snapshot(number));
    await at.api("ada", "DELETE", `${repos}/issues/comments/${gone}`);
    await at.api("ada", "PATCH", `${repos}/issues/comments/${edited}`, { body: "Hey" });
    const { updatedAt } = await at.snapshot(number);

    const after = await at.snapshot(number, { ...before, updatedAt });

    expect(after.comments.map(({ body }) => body)).toEqual(["Hey"]);
  });

  test("sees a dismissal and a new status though they may move no updated_at", async () => {
    await using at = await site();
    const number = await withIssue(at);
    const pull = await withPull(at, number);
    const sha = pullOf(await at.snapshot(number)).headSha;
    const { id } = await at.client.actor("reviewer").submitReview(REPO, pull, {
      ...{ event: "APPROVED", body: "", commitId: sha, comments: [] },
    });
    const before = later(await at.snapshot(number));
    await at.api("ada", "POST", `${repos}/pulls/${pull}/reviews/${id}/dismissals`, {
      message: "no",
    });
    await at.api("ada", "POST", `${repos}/statuses/${sha}`, { context: "ci", state: "success" });

    const after = pullOf(await at.snapshot(number, before));

    expect(after.reviews.map(({ dismissed }) => dismissed)).toEqual([true]);
    expect(after.checks.map(({ state }) => state)).toEqual(["success"]);
  });

  test("reads everything again when the previous one was read in the second of the change", async () => {
    await using at = await site();
    const number = await withIssue(at);
    const before = await at.snapshot(number);

    const requests = await at.requests(() => at.snapshot(number, before));

    expect(requests.join("\n")).toContain("/timeline");
  });

  test("reads a closed item that did not change with few calls", async () => {
    await using at = await site();
    const number = await withIssue(at);
    await withPull(at, number);
    const pull = pullOf(await at.snapshot(number));
    await at.client.actor("code-lead").merge(REPO, pull.number, {
      ...{ style: "squash", headSha: pull.headSha },
    });
    await at.forge.idle();
    await at.api("ada", "PATCH", `${repos}/issues/${number}`, { state: "closed" });
    const before = later(await at.snapshot(number));

    const requests = await at.requests(() => at.snapshot(number, before));

    expect(requests).toHaveLength(2);
  });

  test("reads line comments only of reviews whose count has changed", async () => {
    await using at = await site();
    const number = await withIssue(at);
    const pull = await withPull(at, number);
    const sha = pullOf(await at.snapshot(number)).headSha;
    const review = (line: number): Promise<{ readonly id: number }> =>
      at.client.actor("reviewer").submitReview(REPO, pull, {
        ...{ event: "COMMENT", body: "x", commitId: sha },
        comments: [{ path: "a", line, body: `line ${line}` }],
      });
    await review(1);
    const before = later(await at.snapshot(number));
    const second = await review(1);

    const requests = await at.requests(() => at.snapshot(number, before));

    const comments = requests.filter((request) => /reviews\/\d+\/comments/.test(request));
    expect(comments).toEqual([`GET ${repos}/pulls/${pull}/reviews/${second.id}/comments`]);
  });
});

test("a timeline with pages full of line comments is read to its end", async () => {
  await using at = await site();
  const number = await withIssue(at);
  const pull = await withPull(at, number);
  const sha = pullOf(await at.snapshot(number)).headSha;
  const comments = Array.from({ length: 110 }, (_, index) => ({
    ...{ path: "a", new_position: 1, body: `c${index}` },
  }));
  await at.api("reviewer", "POST", `${repos}/pulls/${pull}/reviews`, {
    ...{ event: "COMMENT", body: "many", commit_id: sha, comments },
  });
  await at.api("ada", "PATCH", `${repos}/issues/${pull}`, { assignees: ["ada"] });

  const snapshot = await at.snapshot(number);

  const last = snapshot.acts.filter((act) => act.number === pull).at(-1);
  expect(last).toMatchObject({ kind: "assigned", subject: { login: "ada" } });
});

test("statuses, files and comments of more than one page are complete", async () => {
  await using at = await site();
  const number = await withIssue(at);
  const files = Object.fromEntries(Array.from({ length: 60 }, (_, n) => [`f${n}`, `${n}\n`]));
  const sha = await at.push("boss", `boss/${number}`, files);
  await at.client.actor("boss").openPull(REPO, {
    ...{ head: `boss/${number}`, base: "main", title: "T", body: "" },
  });
  for (let n = 0; n < 55; n += 1)
    await at.api("ada", "POST", `${repos}/statuses/${sha}`, {
      ...{ context: `c${n}`, state: "success" },
    });
  for (let n = 0; n < 55; n += 1)
    await at.api("ada", "POST", `${repos}/issues/${number}/comments`, { body: `${n}` });

  const snapshot = await at.snapshot(number);

  const pull = pullOf(snapshot);
  expect([pull.checks.length, pull.changedPaths.length, snapshot.comments.length]).toEqual([
    55, 61, 55,
  ]);
});
