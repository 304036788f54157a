import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { openEmbeddedForge } from "../contract/forge-under-test.ts";
import { openWorld, type World } from "../contract/world.ts";

/** The fixtures are recorded in the forge's own order of fields; the embedded forge must send it. */
const FIXTURES = join(import.meta.dir, "..", "fixtures", "forgejo");
let world: World | undefined;

beforeAll(async () => {
  world = await openWorld(await openEmbeddedForge());
  await playStory(world);
}, 60_000);

afterAll(async () => {
  await world?.close();
}, 60_000);

const STORY = [
  "issues-opened.json",
  "issues-assigned.json",
  "issues-unassigned.json",
  "issues-label_updated.json",
  "issues-closed.json",
  "issues-reopened.json",
  "issues-edited.json",
  "issue_comment-created.json",
  "issue_comment-created.pull.json",
  "issue_comment-edited.json",
  "pull_request-opened.json",
  "pull_request-edited.ready.json",
  "pull_request-review_requested.json",
  "pull_request-synchronized.json",
  "pull_request_approved-reviewed.json",
  "pull_request_rejected-reviewed.json",
  "pull_request_comment-reviewed.json",
  "pull_request-closed.merged.json",
  "push.json",
  "create-branch.json",
  "delete-branch.json",
];

test("the story covers a fixture of every kind it names", async () => {
  const known = await readdir(FIXTURES);

  expect(STORY.filter((name) => !known.includes(name))).toEqual([]);
});

for (const name of STORY)
  test(`a webhook like ${name} has the fields of the fixture in the same order`, async () => {
    const fixture: unknown = await Bun.file(join(FIXTURES, name)).json();
    const headers: unknown = await Bun.file(
      join(FIXTURES, name.replace(/\.json$/, ".headers.json")),
    ).json();
    const type = String(field(headers, "X-Forgejo-Event-Type"));
    const sameKind = (world?.listener.events ?? []).filter(
      (event) =>
        event.eventType === type &&
        event.action === String(field(fixture, "action") ?? "") &&
        JSON.stringify(keysOf(field(event.body, "changes"))) ===
          JSON.stringify(keysOf(field(fixture, "changes"))),
    );

    expect(sameKind.length).toBeGreaterThan(0);
    for (const event of sameKind.slice(0, 3))
      expect(differences(fixture, event.body, "")).toEqual([]);
  });

test("a webhook has exactly the headers of the fixture", async () => {
  const fixture: unknown = await Bun.file(join(FIXTURES, "issues-opened.headers.json")).json();
  const event = world?.listener.events.find((one) => one.eventType === "issues");
  const ours = Object.keys(event?.headers ?? {}).filter((name) => !CONNECTION.includes(name));

  expect(ours.toSorted()).toEqual(
    keysOf(fixture)
      .map((name) => name.toLowerCase())
      .toSorted(),
  );
});

/** What the HTTP client of the runtime adds. */
const CONNECTION = ["connection", "accept"];

async function playStory(world: World): Promise<void> {
  const { boss, lead, reviewer } = world.people;
  const number = await world.newIssue({ body: "before" });
  const path = `/issues/${number}`;
  await world.inRepo("owner", "PATCH", path, { assignees: [boss.login] });
  await world.inRepo("owner", "PATCH", path, { assignees: [] });
  await world.inRepo("owner", "POST", "/labels", { name: "bug", color: "#ee0701" });
  await world.inRepo("owner", "POST", `${path}/labels`, { labels: ["bug"] });
  await world.inRepo("owner", "PATCH", path, { body: "after" });
  const made = await world.inRepo("owner", "POST", `${path}/comments`, { body: "one" });
  await world.inRepo("owner", "PATCH", `/issues/comments/${field(made.body, "id")}`, {
    body: "two",
  });
  await world.inRepo("owner", "PATCH", path, { state: "closed" });
  await world.inRepo("owner", "PATCH", path, { state: "open" });
  const pull = await world.newPull({ title: "WIP: story", settle: false });
  const pullPath = `/pulls/${pull.number}`;
  await world.inRepo("boss", "PATCH", pullPath, { title: "story" });
  await world.inRepo("lead", "POST", `/issues/${pull.number}/comments`, { body: "hi" });
  const reviewers = [reviewer.login, lead.login];
  await world.inRepo("boss", "POST", `${pullPath}/requested_reviewers`, { reviewers });
  for (const event of ["COMMENT", "REQUEST_CHANGES", "APPROVED"])
    await world.inRepo("reviewer", "POST", `${pullPath}/reviews`, { event, body: event });
  await world.push("boss", { branch: pull.branch, from: pull.branch });
  await world.event({ type: "pull_request_sync", number: pull.number });
  await world.mergeableSoon(pull.number);
  const form = { Do: "merge", delete_branch_after_merge: true };
  await world.inRepo("lead", "POST", `${pullPath}/merge`, form);
  await world.event({ type: "pull_request", action: "closed", number: pull.number });
  await world.event({ type: "delete", ref: `refs/heads/${pull.branch}` });
}

/** @returns where two values differ in their fields or kinds; null fits everything. */
function differences(expected: unknown, seen: unknown, path: string): string[] {
  if (expected === null || seen === null) return [];
  if (Array.isArray(expected) !== Array.isArray(seen)) return [`${path}: list or not`];
  if (Array.isArray(expected) && Array.isArray(seen))
    return expected.length > 0 && seen.length > 0
      ? differences(expected[0], seen[0], `${path}.0`)
      : [];
  if (typeof expected !== typeof seen) return [`${path}: ${typeof expected} / ${typeof seen}`];
  if (typeof expected !== "object") return [];
  const wanted = keysOf(expected);
  const has = keysOf(seen);
  if (JSON.stringify(wanted) !== JSON.stringify(has))
    return [`${path}: fields ${wanted.join(" ")} / ${has.join(" ")}`];
  return wanted.flatMap((key) =>
    differences(field(expected, key), field(seen, key), `${path}.${key}`),
  );
}

function keysOf(value: unknown): string[] {
  return typeof value === "object" && value !== null ? Object.keys(value) : [];
}

function field(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined;
}
