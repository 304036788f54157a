import { expect, test } from "bun:test";
import {
  bytesOf,
  type DeliveryWish,
  type IntakeWorld,
  intakeWorld,
  issuePayload,
  SECRET,
  sign,
} from "../support/intake-world.ts";

const BODY_BYTES = 10_000;
const VALID = bytesOf(issuePayload());
const RIGHT = sign(VALID);
const SHA = "c47a0e3b5d924f18a6b7c0d1e2f3948576a1b2c3";

/** name, what is sent, the answer, and a part of its body. */
type Case = readonly [name: string, wish: DeliveryWish, status: number, says?: string];

const signatures: readonly Case[] = [
  ["no signature", { signature: null }, 401],
  ["an empty signature, as of a hook without secret", { signature: "" }, 401],
  ["another secret", { secret: "another-secret" }, 401],
  ["the empty secret", { secret: "" }, 401],
  ["an upper-case signature", { signature: RIGHT.toUpperCase() }, 401],
  ["a prefixed signature", { signature: `sha256=${RIGHT}` }, 401],
  ["a short signature", { signature: RIGHT.slice(1) }, 401],
  ["a long signature", { signature: `${RIGHT}0` }, 401],
  ["one wrong digit", { signature: flipLast(RIGHT) }, 401],
  ["not hex", { signature: "z".repeat(64) }, 401],
  ["64 zeros", { signature: "0".repeat(64) }, 401],
  ["the signature twice in one value", { signature: `${RIGHT}, ${RIGHT}` }, 401],
  ["a huge signature", { signature: "a".repeat(8000) }, 401],
  ["the hash of the body without key", { signature: sign(VALID, "") }, 401],
  ["the signature of another body", { signature: sign(Buffer.from("{}")) }, 401],
  ["a body with one byte more", { signature: RIGHT, body: `${VALID} ` }, 401],
  [
    "a re-serialized body",
    { signature: RIGHT, body: JSON.stringify(issuePayload(), null, 2) },
    401,
  ],
  ["no body at all under the right headers", { signature: RIGHT, body: "" }, 401],
  [
    "a wrong signature with right aliases",
    {
      signature: "0".repeat(64),
      headers: { "x-gitea-signature": RIGHT, "x-hub-signature-256": `sha256=${RIGHT}` },
    },
    401,
  ],
  [
    "only aliases",
    {
      signature: null,
      headers: {
        "x-gitea-signature": RIGHT,
        "x-gogs-signature": RIGHT,
        "x-hub-signature-256": `sha256=${RIGHT}`,
      },
    },
    401,
  ],
  [
    "the right secret in Authorization only",
    { signature: null, headers: { authorization: SECRET } },
    401,
  ],
  ["a bad body with a bad signature: no word about the body", { signature: RIGHT, body: "{" }, 401],
  ["a bad delivery id with a bad signature", { signature: "x", id: "../../x" }, 401],
];

const headers: readonly Case[] = [
  ["no delivery id", { id: null }, 400, "X-Forgejo-Delivery"],
  ["an empty delivery id", { id: "" }, 400, "X-Forgejo-Delivery"],
  ["a path as delivery id", { id: "../../etc/passwd" }, 400, "X-Forgejo-Delivery"],
  ["a short delivery id", { id: "abc" }, 400, "X-Forgejo-Delivery"],
  ["a long delivery id", { id: "a".repeat(65) }, 400, "X-Forgejo-Delivery"],
  ["two delivery ids", { id: "aaaaaaaa, bbbbbbbb" }, 400, "X-Forgejo-Delivery"],
  ["a delivery id with SQL", { id: "1' or '1'='1" }, 400, "X-Forgejo-Delivery"],
  ["no event type", { event: null }, 400, "X-Forgejo-Event-Type"],
  [
    "no event type, but Event and aliases",
    {
      event: null,
      headers: { "x-forgejo-event": "issues", "x-gitea-event-type": "issues" },
    },
    400,
    "X-Forgejo-Event-Type",
  ],
  ["an upper-case event type", { event: "Issues" }, 400, "X-Forgejo-Event-Type"],
  ["a path as event type", { event: "../issues" }, 400, "X-Forgejo-Event-Type"],
  ["a long event type", { event: "a".repeat(65) }, 400, "X-Forgejo-Event-Type"],
  ["two event types", { event: "issues, push" }, 400, "X-Forgejo-Event-Type"],
  ["constructor as event type", { event: "constructor" }, 200, "ignored"],
  ["__proto__ as event type", { event: "__proto__" }, 200, "ignored"],
  ["an event type of no interest", { event: "release" }, 200, "ignored"],
  [
    "a host that forwards claims",
    { headers: { "x-forwarded-host": "evil", "x-forwarded-for": "1" } },
    202,
  ],
];

const types: readonly Case[] = [
  ["no content type", { headers: { "content-type": null } }, 415],
  ["text/plain", { headers: { "content-type": "text/plain" } }, 415],
  ["a form", { headers: { "content-type": "application/x-www-form-urlencoded" } }, 415],
  ["multipart", { headers: { "content-type": "multipart/form-data; boundary=x" } }, 415],
  ["another JSON type", { headers: { "content-type": "application/hal+json" } }, 415],
  ["JSON in latin1", { headers: { "content-type": "application/json; charset=latin1" } }, 415],
  ["JSON in UTF-16", { headers: { "content-type": "application/json; charset=utf-16" } }, 415],
  ["two content types", { headers: { "content-type": "application/json, text/plain" } }, 415],
  ["a type that only begins so", { headers: { "content-type": "application/jsonp" } }, 415],
  ["gzip", { headers: { "content-encoding": "gzip" } }, 415],
  ["identity", { headers: { "content-encoding": "identity" } }, 415],
  ["JSON with charset", { headers: { "content-type": "application/json; charset=utf-8" } }, 202],
  ["JSON in capitals", { headers: { "content-type": "Application/JSON;charset=UTF-8" } }, 202],
];

const paths: readonly Case[] = [
  ["another path", { path: "/" }, 404],
  ["a longer path", { path: "/webhook/" }, 404],
  ["a shorter path", { path: "/webhoo" }, 404],
  ["a percent-encoded path", { path: "/%77ebhook" }, 404],
  ["a path in capitals", { path: "/WEBHOOK" }, 404],
  ["a path with a parameter", { path: "/webhook;x=1" }, 404],
  ["a backslash", { path: "/webhook%5c" }, 404],
  ["the admin API", { path: "/api/v1/status" }, 404],
  ["the reset of the admin API", { path: "/reset" }, 404],
  ["metrics", { path: "/metrics", method: "GET" }, 404],
  ["a query, which is not looked at", { path: "/webhook?secret=x" }, 202],
  ["GET with a payload in the query", { path: "/webhook?payload={}", method: "GET" }, 405],
  ["HEAD", { method: "HEAD" }, 405],
  ["PUT", { method: "PUT" }, 405],
  ["DELETE", { method: "DELETE" }, 405],
  ["PATCH", { method: "PATCH" }, 405],
  ["OPTIONS", { method: "OPTIONS" }, 405],
  ["POST to the health check", { path: "/healthz" }, 405],
];

const bodies: readonly Case[] = [
  ["an empty body", { body: "" }, 400, "JSON"],
  ["half an object", { body: '{"action":' }, 400, "JSON"],
  ["two objects", { body: "{}{}" }, 400, "JSON"],
  ["a byte order mark", { body: `\uFEFF${JSON.stringify(issuePayload())}` }, 400, "JSON"],
  ["a comment", { body: "{} // x" }, 400, "JSON"],
  ["NaN", { body: '{"issue":NaN}' }, 400, "JSON"],
  [
    "bytes that are not UTF-8",
    { body: Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]) },
    400,
    "UTF-8",
  ],
  ["an overlong encoding", { body: Buffer.from([0x22, 0xc0, 0xaf, 0x22]) }, 400, "UTF-8"],
  [
    "a lone surrogate in UTF-8",
    { body: Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]) },
    400,
    "UTF-8",
  ],
  ["UTF-16", { body: Buffer.from(JSON.stringify(issuePayload()), "utf16le") }, 400],
  ["null bytes", { body: Buffer.alloc(64) }, 400, "JSON"],
  ["an array", { body: [] }, 400, "body"],
  ["a number", { body: 42 }, 400, "body"],
  ["a string", { body: '"issues"' }, 400, "body"],
  ["null", { body: "null" }, 400, "body"],
  ["null for an event of no interest", { body: "null", event: "release" }, 400, "body"],
  ["objects 65 deep", { body: `${'{"a":'.repeat(65)}1${"}".repeat(65)}` }, 400, "deeper"],
  ["arrays 4,000 deep", { body: "[".repeat(4000) }, 400, "deeper"],
  [
    "brackets inside a string only",
    {
      body: issuePayload({ title: `${"[{".repeat(200)}\\"[` }),
    },
    202,
  ],
  ["a body over the limit", { body: issuePayload({ x: "a".repeat(BODY_BYTES) }) }, 413],
  [
    "a body over the limit without signature",
    { body: "a".repeat(BODY_BYTES + 1), signature: null },
    413,
  ],
  [
    "a body over the limit as text",
    {
      body: "a".repeat(BODY_BYTES + 1),
      headers: { "content-type": "text/plain" },
    },
    415,
  ],
  ["a body over the limit at another path", { body: "a".repeat(BODY_BYTES + 1), path: "/x" }, 404],
  ["a body of exactly the limit", { body: JSON.stringify(issuePayload()).padEnd(BODY_BYTES) }, 202],
];

const shapes: readonly Case[] = [
  ["an empty object", { body: {} }, 400, "action"],
  ["no issue", { body: issuePayload({ issue: undefined }) }, 400, "issue"],
  ["a number as text", { body: issuePayload({ issue: { number: "42" } }) }, 400, "issue.number"],
  ["a fraction", { body: issuePayload({ issue: { number: 4.2 } }) }, 400, "issue.number"],
  ["number zero", { body: issuePayload({ issue: { number: 0 } }) }, 400, "issue.number"],
  ["a negative number", { body: issuePayload({ issue: { number: -1 } }) }, 400, "issue.number"],
  [
    "a number above 2^31-1",
    { body: issuePayload({ issue: { number: 2 ** 31 } }) },
    400,
    "issue.number",
  ],
  ["the number 2^31-1", { body: issuePayload({ issue: { number: 2 ** 31 - 1 } }) }, 202],
  [
    "a number above 2^53",
    { body: JSON.stringify(issuePayload()).replace("42", "9007199254740993") },
    400,
    "issue.number",
  ],
  [
    "an endless number",
    { body: JSON.stringify(issuePayload()).replace("42", "1e999") },
    400,
    "issue.number",
  ],
  ["a list of numbers", { body: issuePayload({ issue: { number: [42] } }) }, 400, "issue.number"],
  [
    "an object as number",
    { body: issuePayload({ issue: { number: { valueOf: 1 } } }) },
    400,
    "issue.number",
  ],
  ["an issue as list", { body: issuePayload({ issue: [] }) }, 400, "issue"],
  [
    "fields in __proto__ only",
    {
      body: `{"__proto__":${JSON.stringify(issuePayload())}}`,
    },
    400,
    "action",
  ],
  ["an action as object", { body: issuePayload({ action: {} }) }, 400, "action"],
  ["an action with a path", { body: issuePayload({ action: "../x" }) }, 400, "action"],
  [
    "an unknown action",
    { body: issuePayload({ action: "constructor" }) },
    200,
    "action does not concern us",
  ],
  ["the action __proto__", { body: issuePayload({ action: "__proto__" }) }, 200, "ignored"],
  ["no repository", { body: issuePayload({ repository: undefined }) }, 400, "repository"],
  [
    "a repository as text",
    { body: issuePayload({ repository: "acme/widgets" }) },
    400,
    "repository",
  ],
  ["a repository that climbs", { body: repo("../../etc") }, 400, "repository.full_name"],
  ["a repository of dots", { body: repo("acme/..") }, 400, "repository.full_name"],
  ["an owner of dots", { body: repo("./widgets") }, 400, "repository.full_name"],
  ["a repository without owner", { body: repo("widgets") }, 400, "repository.full_name"],
  ["a repository of three parts", { body: repo("a/b/c") }, 400, "repository.full_name"],
  ["a repository with a query", { body: repo("acme/widgets?x=#") }, 400, "repository.full_name"],
  ["a repository with a line end", { body: repo("acme/widgets\n") }, 400, "repository.full_name"],
  [
    "a repository with a homoglyph",
    { body: repo("\u0430cme/widgets") },
    400,
    "repository.full_name",
  ],
  ["an endless repository", { body: repo(`acme/${"a".repeat(101)}`) }, 400, "repository.full_name"],
  ["a repository in capitals is the same one", { body: repo("Acme/WIDGETS") }, 202],
  [
    "a repository that is not ours",
    { body: repo("acme/gadgets") },
    200,
    "repository is not configured",
  ],
  [
    "a name that begins like ours",
    { body: repo("acme/widgets2") },
    200,
    "repository is not configured",
  ],
  ["no sender", { body: issuePayload({ sender: null }) }, 400, "sender"],
  ["a sender without login", { body: issuePayload({ sender: { id: 1 } }) }, 400, "sender.login"],
  [
    "a login as list",
    { body: issuePayload({ sender: { login: ["alice"] } }) },
    400,
    "sender.login",
  ],
  [
    "an endless login",
    { body: issuePayload({ sender: { login: "a".repeat(256) } }) },
    400,
    "sender.login",
  ],
  [
    "a markup login is only a text",
    { body: issuePayload({ sender: { login: "<img onerror>" } }) },
    202,
  ],
  ["a push of a tag", { event: "push", body: push("refs/tags/v1") }, 200, "ref is not a branch"],
  [
    "a push that looks like an option",
    { event: "push", body: push("refs/heads/--upload-pack=x") },
    200,
    "ref is not a branch",
  ],
  ["a push to nowhere", { event: "push", body: push("refs/heads/") }, 200, "ref is not a branch"],
  [
    "a push that climbs",
    { event: "push", body: push("refs/heads/../../main") },
    200,
    "ref is not a branch",
  ],
  [
    "a push with a refspec",
    { event: "push", body: push("refs/heads/a:main") },
    200,
    "ref is not a branch",
  ],
  ["a push with a glob", { event: "push", body: push("refs/heads/*") }, 200, "ref is not a branch"],
  [
    "a push with a lone surrogate",
    {
      event: "push",
      body: '{"ref":"refs/heads/\\ud800","repository":{"full_name":"acme/widgets"}}',
    },
    200,
    "ref is not a branch",
  ],
  ["an endless ref", { event: "push", body: push(`refs/heads/${"a".repeat(1024)}`) }, 400, "ref"],
  ["a ref as number", { event: "push", body: push(1) }, 400, "ref"],
  [
    "the deletion of a tag",
    { event: "delete", body: { ...push("v1"), ref_type: "tag" } },
    200,
    "ref is not a branch",
  ],
  [
    "the deletion of everything",
    { event: "delete", body: { ...push("*"), ref_type: "branch" } },
    200,
    "ref is not a branch",
  ],
  [
    "a status of a short sha",
    { event: "status", body: { ...push("x"), sha: SHA.slice(0, 7) } },
    400,
    "sha",
  ],
  [
    "a status of an expression",
    { event: "status", body: { ...push("x"), sha: "HEAD^{/x}" } },
    400,
    "sha",
  ],
  [
    "a run without repository",
    { event: "action_run_success", body: { action: "success", run: { commit_sha: SHA } } },
    400,
    "run.repository",
  ],
];

/** Each event type that concerns us, with the field that its payload cannot do without. */
const NEEDED: Readonly<Record<string, string>> = {
  issues: "issue",
  issue_assign: "issue",
  issue_label: "issue",
  issue_milestone: "issue",
  issue_comment: "issue",
  pull_request_comment: "issue",
  pull_request: "pull_request",
  pull_request_assign: "pull_request",
  pull_request_label: "pull_request",
  pull_request_milestone: "pull_request",
  pull_request_sync: "pull_request",
  pull_request_review_request: "pull_request",
  pull_request_review_approved: "pull_request",
  pull_request_review_rejected: "pull_request",
  pull_request_review_comment: "pull_request",
  push: "ref",
  create: "ref",
  delete: "ref",
  status: "sha",
  workflow_run: "workflow_run",
  action_run_success: "run",
  action_run_failure: "run",
  action_run_recover: "run",
};

const everyEvent: readonly Case[] = Object.entries(NEEDED).flatMap(([event, field]): Case[] => [
  [`${event} without ${field}`, { event, body: payloadWithout(field) }, 400, field],
  [`${event} with a list as ${field}`, { event, body: payloadWithout(field, []) }, 400, field],
  [`${event} in another event's clothes`, { event, body: { action: "opened", x: 1 } }, 400],
]);

/** Everything any event needs but one field, which is left out or is something else. */
function payloadWithout(field: string, instead?: unknown): object {
  const numbered = { number: 42 };
  const whole = {
    ...issuePayload({ issue: numbered, pull_request: numbered }),
    ref: "refs/heads/main",
    ref_type: "branch",
    sha: SHA,
    workflow_run: { head_sha: SHA },
    run: { commit_sha: SHA, repository: { full_name: "acme/widgets" } },
  };
  return { ...whole, [field]: instead };
}

function flipLast(hex: string): string {
  return hex.slice(0, -1) + (hex.endsWith("0") ? "1" : "0");
}

function repo(name: string): object {
  return issuePayload({ repository: { full_name: name } });
}

function push(ref: unknown): object {
  return { ref, repository: { full_name: "acme/widgets" }, sender: { login: "alice" } };
}

/** What must hold of every answer: small, JSON, nothing of the inside, and a record only when signed. */
async function check(
  world: IntakeWorld,
  { wish, status, says }: { wish: DeliveryWish; status: number; says: string },
): Promise<void> {
  const answer = await world.deliver(wish);

  expect(`${answer.status} ${answer.text}`).toStartWith(String(status));
  expect(answer.text).toContain(says);
  expect(answer.text.length).toBeLessThanOrEqual(4096);
  expect(answer.text).not.toMatch(/\/src\/|node_modules|\bat .*:\d+:\d+|Error:/);
  expect(answer.text).not.toContain(process.cwd());
  if (wish.method !== "HEAD") {
    expect(answer.headers.get("content-type")).toStartWith("application/json");
    expect(Object.keys(JSON.parse(answer.text))).toContain(status >= 400 ? "error" : "status");
  }
  if (status === 401) {
    expect(answer.text).toBe('{"error":"signature missing or wrong"}');
  }
  if (status === 405) {
    expect(answer.headers.get("allow")).not.toBeNull();
  }
  if (status >= 400) {
    expect(world.recorded).toEqual([]);
    expect(world.counted).toEqual(wish.path === "/healthz" ? [] : ["refused"]);
    expect(JSON.stringify([world.audited, world.logged])).not.toContain(SECRET);
  } else {
    expect(world.recorded).toHaveLength(1);
    expect(world.recorded[0]?.marks).toHaveLength(status === 202 ? 1 : 0);
    expect(world.audited).toEqual([]);
  }
}

for (const [group, cases] of Object.entries({
  signatures,
  headers,
  types,
  paths,
  bodies,
  shapes,
  everyEvent,
})) {
  // Every row with all its four parts: a missing one would be taken for a callback.
  const rows = cases.map(([name, wish, status, says = ""]) => [name, wish, status, says] as const);
  test.each(rows)(`${group}: %s`, async (_name, wish, status, says) => {
    await using world = await intakeWorld({ bodyBytes: BODY_BYTES });
    await check(world, { wish, status, says });
  });
}

test("a secret of the rotation signs as well as the first", async () => {
  await using world = await intakeWorld({
    secrets: () => [Buffer.from("new-secret"), Buffer.alloc(0), Buffer.from("old-secret")],
  });

  expect((await world.deliver({ secret: "old-secret" })).status).toBe(202);
  const body = issuePayload({ issue: { number: 43 } });
  expect((await world.deliver({ secret: "new-secret", body })).status).toBe(202);
  expect((await world.deliver({ secret: "" })).status).toBe(401);
});

test("without any secret nothing is let in", async () => {
  await using world = await intakeWorld({ secrets: () => [] });

  expect((await world.deliver()).status).toBe(401);
});
