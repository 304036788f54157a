import { expect, test } from "bun:test";
import { REPO, site } from "./site.ts";
import { stub } from "./stub.ts";

const repos = `/repos/${REPO}`;

test("changedFor finds what is assigned, requested, created and mentioned, in any state, once", async () => {
  await using at = await site();
  const open = async (body: Record<string, unknown>): Promise<number> =>
    Number((await at.api("ada", "POST", `${repos}/issues`, body))["number"]);
  const assigned = await open({ title: "A", body: "for @boss", assignees: ["boss"] });
  const mentioned = await open({ title: "B", body: "hello @boss" });
  await open({ title: "C", body: "nobody" });
  await at.push("boss", "boss/9", { a: "1\n" });
  const created = await at.client.actor("boss").openPull(REPO, {
    ...{ head: "boss/9", base: "main", title: "T", body: "" },
  });
  await at.push("ada", "fix", { a: "1\n" });
  const asked = Number(
    (await at.api("ada", "POST", `${repos}/pulls`, { head: "fix", base: "main", title: "F" }))[
      "number"
    ],
  );
  await at.api("ada", "POST", `${repos}/pulls/${asked}/requested_reviewers`, {
    reviewers: ["boss"],
  });
  await at.api("ada", "PATCH", `${repos}/issues/${assigned}`, { state: "closed" });

  const found = await at.client.sweepReader.changedFor("boss", Date.now() - 60_000);
  const later = await at.client.sweepReader.changedFor("boss", Date.now() + 60_000);

  const rows = found.map(({ number, state }) => [number, state] as const);
  expect(rows.toSorted((a, b) => a[0] - b[0])).toEqual([
    [assigned, "closed"],
    [mentioned, "open"],
    [created.number, "open"],
    [asked, "open"],
  ]);
  expect(new Set(found.map(({ repo }) => repo))).toEqual(new Set([REPO]));
  expect(later).toEqual([]);
});

test("changedWithLabel finds open issues with exactly this label, in all repositories of the owner or of everybody", async () => {
  await using at = await site();
  await at.api("ada", "POST", "/orgs/acme/repos", { name: "other", auto_init: true });
  await at.api("ada", "POST", "/user/repos", { name: "own", auto_init: true });
  const issues: number[] = [];
  for (const [repo, label, state] of [
    ["acme/widgets", "agent", "open"],
    ["acme/widgets", "agent", "closed"],
    ["acme/widgets", "other", "open"],
    ["acme/other", "agent", "open"],
    ["ada/own", "agent", "open"],
  ] as const) {
    await at
      .api("ada", "POST", `/repos/${repo}/labels`, { name: label, color: "#00aabb" })
      .catch(() => undefined);
    const issue = await at.api("ada", "POST", `/repos/${repo}/issues`, { title: "T" });
    const number = Number(issue["number"]);
    await at.api("ada", "POST", `/repos/${repo}/issues/${number}/labels`, { labels: [label] });
    await at.api("ada", "PATCH", `/repos/${repo}/issues/${number}`, { state });
    issues.push(number);
  }

  const placesOf = async (owner: string | null): Promise<readonly string[]> => {
    const found = await at.client.reader.changedWithLabel(owner, "agent", 0);
    return found.map(({ repo, number }) => `${repo}#${number}`).toSorted();
  };

  expect(await placesOf("acme")).toEqual([`acme/other#${issues[3]}`, `acme/widgets#${issues[0]}`]);
  expect(await placesOf(null)).toEqual([...(await placesOf("acme")), `ada/own#${issues[4]}`]);
});

test("changedOf finds what changed in the owner's repositories, in any state and whoever it is about", async () => {
  await using at = await site();
  await at.api("ada", "POST", "/user/repos", { name: "own", auto_init: true });
  const make = async (repo: string) =>
    await at.api("ada", "POST", `/repos/${repo}/issues`, { title: "T" });
  await make(REPO);
  const closed = Number((await make(REPO))["number"]);
  await at.api("ada", "PATCH", `${repos}/issues/${closed}`, { state: "closed" });
  await make("ada/own");

  const of = async (owner: string | null, since: number) =>
    (await at.client.sweepReader.changedOf(owner, since)).map(
      ({ repo, number, state }) => `${repo}#${number} ${state}`,
    );
  const recently = Date.now() - 60_000;

  expect(await of("acme", recently)).toEqual([`${REPO}#2 closed`, `${REPO}#1 open`]);
  expect(await of(null, recently)).toContain("ada/own#1 open");
  expect(await of("acme", Date.now() + 60_000)).toEqual([]);
});

test("pulls are found by number, branch and sha", async () => {
  await using at = await site();
  const sha = await at.push("boss", "boss/9", { a: "1\n" });
  const { number } = await at.client.actor("boss").openPull(REPO, {
    ...{ head: "boss/9", base: "main", title: "T", body: "" },
  });
  const issue = Number((await at.api("ada", "POST", `${repos}/issues`, { title: "I" }))["number"]);
  const { reader } = at.client;

  expect(await reader.lookUp(REPO, number)).toEqual({
    kind: "pull",
    number,
    headBranch: "boss/9",
    sameRepo: true,
    author: { id: at.ids.boss, login: "boss" },
  });
  expect(await reader.lookUp(REPO, issue)).toEqual({ kind: "issue", number: issue });
  await expect(reader.lookUp(REPO, 999)).rejects.toMatchObject({ kind: "not_found" });
  expect((await reader.pullsByBranch(REPO, "boss/9")).map((pull) => pull.number)).toEqual([number]);
  expect(await reader.pullsByBranch(REPO, "boss/10")).toEqual([]);
  expect(await reader.pullsBySha(REPO, sha)).toEqual([number]);
  expect(await reader.pullsBySha(REPO, "1".repeat(40))).toEqual([]);
});

test("a server that ignores head is filtered here and read only to what is older than the issue", async () => {
  const user = { id: 1, login: "boss" };
  const at = (day: number): string => `2026-01-${String(day).padStart(2, "0")}T00:00:00Z`;
  const pull = (number: number, ref: string, more: object = {}) => ({
    ...{ number, title: "T", body: "", user, state: "open", merged: false },
    head: { label: ref, ref, sha: "a".repeat(40), repo_id: 7 },
    base: { label: "main", ref: "main", sha: "b".repeat(40), repo_id: 7 },
    ...{ created_at: at(20), updated_at: at(20), requested_reviewers: null },
    ...more,
  });
  const fork = { head: { label: "boss/4", ref: "boss/4", sha: "c", repo_id: 9 } };
  const gone = { head: { label: "boss/4", ref: "refs/pull/11/head", sha: "d", repo_id: 7 } };
  const pages = [
    [
      ...[pull(14, "other"), pull(13, "boss/4", fork)],
      ...[pull(12, "boss/4", { user: { id: 2, login: "eve" } }), pull(11, "boss/4", gone)],
      ...Array.from({ length: 46 }, () => pull(10, "other")),
    ],
    Array.from({ length: 50 }, () => pull(9, "other", { created_at: at(1) })),
    [pull(3, "boss/4")],
  ];
  const issue = {
    ...{ number: 4, title: "T", body: "", user, state: "open", pull_request: null },
    ...{ created_at: at(10), updated_at: at(20) },
  };
  await using forge = stub((request) => {
    const url = new URL(request.url);
    if (url.pathname.endsWith("/pulls"))
      return Response.json(pages[Number(url.searchParams.get("page")) - 1] ?? []);
    return Response.json(url.pathname.endsWith("/issues/4") ? issue : []);
  });

  const snapshot = await forge.client().reader.snapshot({
    ...{ item: { repo: REPO, number: 4 }, pulls: [], previous: null },
    branches: ["boss/4", "reviewer/4"].map((branch) => ({ branch, author: "Boss" })),
  });

  expect(snapshot.pull).toMatchObject({ number: 11, headBranch: "boss/4" });
  const lists = forge.seen.filter(({ call }) => /\/pulls\?/.test(call));
  expect(lists).toHaveLength(2);
});

test("the writers are asked for once a minute and a failure is not remembered", async () => {
  let now = 0;
  let isBroken = true;
  const time = "2026-01-02T03:04:05Z";
  const user = { id: 1, login: "ada" };
  await using at = stub((request) => {
    const { pathname } = new URL(request.url);
    if (pathname.endsWith("/assignees"))
      return isBroken ? new Response("", { status: 403 }) : Response.json([user]);
    if (!pathname.endsWith("/issues/4")) return Response.json([]);
    return Response.json({
      ...{ number: 4, title: "T", body: "", user, state: "open" },
      ...{ created_at: time, updated_at: time },
    });
  });
  const { reader } = at.client({ now: () => now });
  const read = () =>
    reader.snapshot({
      ...{ item: { repo: REPO, number: 4 }, pulls: [], branches: [], previous: null },
    });
  const asked = (): number => at.seen.filter(({ call }) => call.endsWith("/assignees")).length;

  await expect(read()).rejects.toMatchObject({ kind: "forbidden" });
  isBroken = false;
  expect((await read()).writers).toEqual([user]);
  await read();
  expect(asked()).toBe(2);
  now = 60_000;
  await read();
  expect(asked()).toBe(3);
});
