import { describe, expect, test } from "bun:test";
import { adminWorld, START } from "../support/admin-world.ts";
import { fillStore, RUN_ID } from "../support/fill-store.ts";

const HERE = "/api/v1/sessions/boss/acme/widgets";
const ENDED = {
  id: RUN_ID,
  endedAt: START + 1000,
  outcome: "asked",
  reason: "it waits for an answer",
  usd: 0.25,
  tokens: { input: 1, output: 2, cacheRead: 3, cacheWrite: 4 },
} as const;
const TOKENS = { input: 1, output: 2, cache_read: 3, cache_write: 4 };

/** One session whose only run has ended. */
async function endedWorld() {
  const world = await adminWorld({ now: () => START + 90_000 });
  await fillStore(world.store, START);
  const session = await world.store.sessions.get("boss:acme/widgets#42");
  await world.store.runs.end({ ...ENDED, session, contextTokens: 700 });
  return world;
}

describe("a session", () => {
  test("is told with its age, cost, tokens, context, taint and history, also by its pull request", async () => {
    await using world = await endedWorld();

    for (const number of [42, 43]) {
      const { status, json } = await world.call(`${HERE}/${number}`);
      expect(status).toBe(200);
      expect(json).toMatchObject({
        key: "boss:acme/widgets#42",
        resumes: 0,
        tainted: false,
        age_seconds: 90,
        last_seen: "2026-11-20T10:00:00.000Z",
        why: "first",
        context_tokens: 700,
        tokens: TOKENS,
        usd: 0.25,
        history: [{ why: "first", ended_at: null, ended_why: null, handed_over: false, usd: 0.25 }],
      });
    }
  });

  test("that was dropped is told by its history: when and why", async () => {
    await using world = await endedWorld();
    await world.store.conversations.ending(["boss:acme/widgets#42"], "reset");
    await world.store.sessions.drop("boss:acme/widgets#42");

    const { status, json } = await world.call(`${HERE}/42`);

    expect(status).toBe(200);
    expect(json).toEqual({
      key: "boss:acme/widgets#42",
      history: [
        {
          session_id: expect.any(String),
          why: "first",
          started_at: "2026-11-20T10:00:00.000Z",
          last_seen: "2026-11-20T10:00:00.000Z",
          ended_at: "2026-11-20T10:00:00.000Z",
          ended_why: "reset",
          handed_over: false,
          context_tokens: 700,
          tokens: TOKENS,
          usd: 0.25,
        },
      ],
    });
  });

  test.each([
    ["boss/acme/widgets/7", 404, "agent boss on acme/widgets#7 has no session"],
    ["BOSS/acme/widgets/42", 400, "path: "],
    ["boss/acme/widgets/0", 400, "path: "],
    ["boss/acme/../42", 404, "not found"],
    ["boss/acme/.../42", 400, "path: "],
  ])("at %s is %d", async (path, status, words) => {
    await using world = await adminWorld();

    const answer = await world.call(`/api/v1/sessions/${path}`);

    expect(answer.status).toBe(status);
    expect(answer.text).toContain(words);
  });
});

describe("a transcript", () => {
  test("is told with the id of its conversation", async () => {
    await using world = await endedWorld();

    const { json } = await world.call(`${HERE}/42/transcript`);

    const id = "6d2f1f2e-8f0c-4d52-9e1c-0a1b2c3d4e5f";
    expect(json).toEqual({
      key: "boss:acme/widgets#42",
      session_id: id,
      transcript: `said in ${id}`,
    });
  });

  test("that is not kept is 404", async () => {
    await using world = await endedWorld();

    const none = await world.call(`${HERE}/7/transcript`);
    const session = await world.store.sessions.get("boss:acme/widgets#42");
    if (session !== null) await world.store.sessions.put({ ...session, sessionId: "gone" });
    const gone = await world.call(`${HERE}/42/transcript`);

    expect([none.status, gone.status]).toEqual([404, 404]);
    expect(gone.text).toContain("has no conversation that is kept");
  });
});

describe("resetting a work item", () => {
  test("drops its sessions, also by the number of its pull request", async () => {
    await using world = await endedWorld();

    const answer = await world.call("/api/v1/items/ACME/widgets/43/reset", { body: {} });

    expect([answer.status, answer.json]).toEqual([200, { sessions: 2 }]);
    expect(world.changed).toEqual(["reset item acme/widgets 42"]);
  });

  test.each([
    ["acme/widgets/99", {}, 409, "alive"],
    ["acme/widgets/7777", {}, 404, "item not known"],
    ["acme/widgets/x", {}, 400, "path: "],
    ["acme/widgets/42", { agent: "boss" }, 400, "agent"],
  ])("at %s with %j is %d", async (path, body, status, words) => {
    await using world = await adminWorld();

    const answer = await world.call(`/api/v1/items/${path}/reset`, { body });

    expect(answer.status).toBe(status);
    expect(answer.text).toContain(words);
  });
});

test("spending is told in all, by agent and by day", async () => {
  await using world = await endedWorld();

  const spent = { runs: 1, usd: 0.25, tokens: TOKENS };
  expect((await world.call("/api/v1/spending")).json).toEqual({
    all: spent,
    agents: [{ agent: "boss", ...spent }],
    repositories: [{ repo: "acme/widgets", ...spent }],
    days: [{ day: "2026-11-20", ...spent }],
  });
});
