import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { rm } from "node:fs/promises";
import { openStore } from "../../src/store/open-store.ts";
import { bytesOf, type DeliveryWish, intakeWorld, issuePayload } from "../support/intake-world.ts";

const ID = "f0362af8-d617-4f25-a771-373a668c23c3";

function pull(action: string, sender: string): object {
  return {
    action,
    pull_request: { number: 43 },
    repository: { full_name: "acme/widgets" },
    sender: { login: sender },
  };
}

describe("a delivery that counts", () => {
  test("is recorded with its mark before it is answered 202", async () => {
    await using world = await intakeWorld({ now: () => 1_000 });
    const body = bytesOf(issuePayload());

    const answer = await world.deliver({ id: ID, body });

    expect(answer.status).toBe(202);
    expect(JSON.parse(answer.text)).toEqual({ delivery: ID, status: "accepted" });
    expect((await world.store.deliveries.list(10, null)).rows).toEqual([
      {
        id: ID,
        event: "issues",
        repo: "acme/widgets",
        number: 42,
        sender: "alice",
        receivedAt: 1_000,
        status: "accepted",
        reason: null,
        bodySha256: createHash("sha256").update(body).digest("hex"),
      },
    ]);
    expect((await world.store.work.unresolved(10)).map((row) => row.mark)).toEqual([
      { repo: "acme/widgets", target: { kind: "number", number: 42 } },
    ]);
  });

  test("never brings its body into the log", async () => {
    await using world = await intakeWorld();

    await world.deliver({ body: issuePayload({ issue: { number: 42, title: "top secret" } }) });

    expect(world.logged.join("\n")).not.toContain("top secret");
  });

  test("sent twice is one delivery, and is answered 200 duplicate", async () => {
    await using world = await intakeWorld();

    const first = await world.deliver({ id: ID });
    const second = await world.deliver({ id: ID });

    expect([first.status, second.status]).toEqual([202, 200]);
    expect(JSON.parse(second.text)).toEqual({ delivery: ID, status: "duplicate" });
    expect((await world.store.deliveries.list(10, null)).rows).toHaveLength(1);
    expect((await world.store.work.unresolved(10))[0]?.count).toBe(1);
    expect(world.counted).toEqual(["accepted", "duplicate"]);
  });

  test("sent 50 times at once is accepted once", async () => {
    await using world = await intakeWorld();

    const answers = await Promise.all(Array.from({ length: 50 }, () => world.deliver({ id: ID })));

    expect(answers.map((answer) => answer.status).sort()).toEqual([
      ...Array.from({ length: 49 }, () => 200),
      202,
    ]);
  });

  test("with the id of another one is a duplicate, whatever it says", async () => {
    await using world = await intakeWorld();

    await world.deliver({ id: ID });
    const other = await world.deliver({ id: ID, body: issuePayload({ issue: { number: 7 } }) });

    expect(JSON.parse(other.text)).toEqual({ delivery: ID, status: "duplicate" });
    expect(await world.store.work.unresolved(10)).toHaveLength(1);
  });

  test("replayed under fresh ids is a duplicate that marks one and the same work item again", async () => {
    await using world = await intakeWorld();

    const answers: number[] = [];
    for (let count = 0; count < 5; count += 1) answers.push((await world.deliver()).status);

    expect(answers).toEqual([202, 200, 200, 200, 200]);
    expect(world.counted.filter((status) => status === "duplicate")).toHaveLength(4);
    const marks = await world.store.work.unresolved(10);
    expect(marks.map(({ count }) => count)).toEqual([5]);
  });

  test("is still known after a restart", async () => {
    const path = `/tmp/ch-intake-${crypto.randomUUID()}.db`;
    const answers: number[] = [];

    for (let start = 0; start < 2; start += 1) {
      const store = await openStore({ path, now: Date.now });
      await using world = await intakeWorld({ deliveries: store.deliveries });
      answers.push((await world.deliver({ id: ID })).status);
      await store.close();
    }
    await Promise.all(["", "-wal", "-shm"].map((end) => rm(path + end, { force: true })));

    expect(answers).toEqual([202, 200]);
  });
});

describe("a delivery that does not count", () => {
  test("is recorded with its reason, once, and marks nothing", async () => {
    await using world = await intakeWorld();

    const first = await world.deliver({ id: ID, event: "release" });
    const second = await world.deliver({ id: ID, event: "release" });

    expect(JSON.parse(first.text)).toEqual({
      status: "ignored",
      reason: "event does not concern us",
    });
    expect(JSON.parse(second.text)).toEqual(JSON.parse(first.text));
    expect((await world.store.deliveries.list(10, null)).rows).toMatchObject([
      { id: ID, status: "ignored", reason: "event does not concern us", repo: "acme/widgets" },
    ]);
    expect(await world.store.work.unresolved(10)).toEqual([]);
  });

  test("is taken when it is sent again after the configuration names its repository", async () => {
    let isConfigured = false;
    await using world = await intakeWorld({ concerns: () => isConfigured });

    const first = await world.deliver({ id: ID });
    isConfigured = true;
    const second = await world.deliver({ id: ID });
    const third = await world.deliver({ id: ID });

    expect([first.status, second.status, third.status]).toEqual([200, 202, 200]);
    expect(JSON.parse(third.text)).toEqual({ delivery: ID, status: "duplicate" });
    expect(await world.store.work.unresolved(10)).toHaveLength(1);
  });

  test("may have a repository and a sender of any shape when its event concerns nobody", async () => {
    await using world = await intakeWorld();

    const answer = await world.deliver({
      event: "package",
      body: { repository: null, sender: 42 },
    });

    expect(answer.status).toBe(200);
    expect(world.recorded[0]?.delivery).toMatchObject({ repo: null, sender: null });
  });
});

/** event type, action, whether an agent's own act of this kind is passed over */
const ECHOES = [
  ["issue_comment", "created", true],
  ["issue_comment", "edited", true],
  ["issue_comment", "deleted", true],
  ["pull_request_comment", "created", true],
  ["issue_label", "label_updated", true],
  ["issue_assign", "assigned", true],
  ["issue_assign", "unassigned", true],
  ["issue_milestone", "milestoned", true],
  ["issues", "edited", true],
  ["issues", "opened", false],
  ["issues", "closed", false],
  ["issues", "reopened", false],
  ["pull_request_label", "label_updated", true],
  ["pull_request_assign", "assigned", true],
  ["pull_request_milestone", "demilestoned", true],
  ["pull_request", "edited", true],
  ["pull_request", "opened", false],
  ["pull_request", "closed", false],
  ["pull_request", "reopened", false],
  ["pull_request_sync", "synchronized", false],
  ["pull_request_review_request", "review_requested", false],
  ["pull_request_review_request", "review_request_removed", false],
  ["pull_request_review_approved", "reviewed", false],
  ["pull_request_review_rejected", "reviewed", false],
  ["pull_request_review_comment", "reviewed", false],
] as const;

describe("the loop guard", () => {
  test.each(ECHOES)("%s %s by an agent is an echo: %p", async (event, action, isEcho) => {
    await using world = await intakeWorld();
    const body = { ...issuePayload(), ...pull(action, "boss") };

    const answer = await world.deliver({ event, body });

    expect(JSON.parse(answer.text).status).toBe(isEcho ? "ignored" : "accepted");
    expect(world.recorded[0]?.delivery.reason).toBe(isEcho ? "own echo" : null);
    expect(world.recorded[0]?.marks).toHaveLength(isEcho ? 0 : 1);
  });

  test.each(ECHOES)("%s %s by a person marks", async (event, action) => {
    await using world = await intakeWorld();
    const body = { ...issuePayload(), ...pull(action, "bossy") };

    expect((await world.deliver({ event, body })).status).toBe(202);
  });

  test.each(["boss", "BOSS", "code-lead", "Code-Lead"])("knows the login %s", async (login) => {
    await using world = await intakeWorld();

    await world.deliver({
      event: "issue_comment",
      body: issuePayload({ action: "created", sender: { login } }),
    });

    expect(world.recorded[0]?.delivery.reason).toBe("own echo");
  });

  test("does not hold back the pushes of an agent", async () => {
    await using world = await intakeWorld();
    const body = {
      ref: "refs/heads/boss/42",
      repository: { full_name: "acme/widgets" },
      sender: { login: "boss" },
    };

    expect((await world.deliver({ event: "push", body })).status).toBe(202);
  });
});

/** What is wrong with a request beside the full queue, and the answer that comes first. */
const ORDER: readonly (readonly [string, DeliveryWish, number])[] = [
  ["a known or unknown delivery", {}, 503],
  ["an event of no interest", { event: "release" }, 503],
  ["a wrong shape", { body: {} }, 400],
  ["a wrong signature", { signature: "0".repeat(64) }, 401],
  ["a wrong type", { headers: { "content-type": "text/plain" } }, 415],
  ["a wrong method", { method: "PUT" }, 405],
  ["a wrong path", { path: "/other" }, 404],
];

describe("over capacity", () => {
  test.each(ORDER)("%s is answered in the order of the contract", async (_name, wish, status) => {
    await using world = await intakeWorld({ queueLimit: 3, waiting: () => 3 });

    const answer = await world.deliver(wish);

    expect(answer.status).toBe(status);
    expect(answer.headers.get("retry-after")).toBe(status === 503 ? "10" : null);
    expect(world.recorded).toEqual([]);
    expect(world.counted).toEqual(["refused"]);
  });

  test("one place below the limit is enough", async () => {
    await using world = await intakeWorld({ queueLimit: 3, waiting: () => 2 });

    expect((await world.deliver()).status).toBe(202);
  });

  test("the last moment of a shutdown is answered 503 and records nothing", async () => {
    let isClosing = false;
    await using world = await intakeWorld({ closing: () => isClosing });
    expect((await world.deliver()).status).toBe(202);

    isClosing = true;
    const answer = await world.deliver();

    expect(answer.status).toBe(503);
    expect(answer.headers.get("retry-after")).toBe("10");
    expect(world.recorded).toHaveLength(1);
  });
});

test("a store that cannot write is 503 with Retry-After, and its error stays inside", async () => {
  await using world = await intakeWorld({
    deliveries: {
      record: () => Promise.reject(new Error("disk is full at /var/lib/claude-hooks")),
    },
  });

  const answer = await world.deliver();

  expect(answer.status).toBe(503);
  expect(answer.headers.get("retry-after")).toBe("10");
  expect(answer.text).not.toContain("/var/lib");
  expect(world.counted).toEqual(["refused"]);
});

test("a fault of our own is 503 with Retry-After, and its error stays inside", async () => {
  await using world = await intakeWorld({
    secrets: () => {
      throw new Error("cannot read /etc/claude-hooks/secret");
    },
  });

  const answer = await world.deliver();

  expect(answer.status).toBe(503);
  expect(answer.headers.get("retry-after")).toBe("10");
  expect(answer.text).not.toContain("/etc");
  expect(world.logged.join()).toContain("cannot read");
});

test("a refusal is audited with its reason and the caller's address, not with what was sent", async () => {
  await using world = await intakeWorld();

  await world.deliver({ signature: "0".repeat(64) });

  expect(world.audited).toEqual([
    {
      kind: "delivery_refused",
      fields: { reason: "signature", status: 401, from: "127.0.0.1" },
    },
  ]);
});
