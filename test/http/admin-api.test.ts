import { describe, expect, test } from "bun:test";
import type { SessionRow } from "../../src/ports/store/sessions.ts";
import { adminWorld, START } from "../support/admin-world.ts";
import { fillStore, HOSTILE, RUN_ID } from "../support/fill-store.ts";
import { openGates } from "../support/gates.ts";
import { anOrder, orderRun } from "../support/store-world.ts";

function session(change: Partial<SessionRow>): SessionRow {
  return {
    key: "boss:acme/widgets#42",
    agent: "boss",
    repo: "acme/widgets",
    number: 42,
    sessionId: "6d2f1f2e-8f0c-4d52-9e1c-0a1b2c3d4e5f",
    createdAt: START,
    updatedAt: START,
    resumes: 1,
    tainted: false,
    usdTotal: 0.5,
    ...change,
  };
}

describe("the state of the service", () => {
  test("is told with the counts of deliveries, runs and queue", async () => {
    await using world = await adminWorld();

    expect((await world.call("/api/v1/status")).json).toEqual({
      version: "0.1.0",
      paused: false,
      paused_by_file: false,
      pauses: [],
      draining: false,
      deliveries: { accepted: 4, duplicate: 3, ignored: 2, refused: 1 },
      runs: { started: 0, succeeded: 0, failed: 0, parked: 0, active: 0 },
      queue: { waiting: 0, active: 0 },
      gates: [],
      administrators: [],
    });
  });

  test("tells of closed gates, and an item whose order waits behind one of its reason and time", async () => {
    const gates = await openGates({ now: () => START });
    await using world = await adminWorld({ gates });
    await orderRun(world.store, 42);
    await orderRun(world.store, 43, anOrder({ agent: "code-lead", fingerprint: "other" }));
    gates.block({ name: "model:test", reason: "usage_limit", until: START + 3_600_000 }, null);
    const retry_at = "2026-11-20T11:00:00.000Z";
    expect((await world.call("/api/v1/status")).json).toMatchObject({
      gates: [{ name: "model:test", reason: "usage_limit", attempt: 1, retry_at }],
    });
    const held = (await world.call("/api/v1/items/acme/widgets/42")).json;
    expect(held).toMatchObject({ state: "waiting", retry_at });
    const { json } = await world.call("/api/v1/items");
    const reason =
      "usage_limit: the usage limit of the model's account is reached; work goes on by itself (attempt 1)";
    expect(json).toMatchObject({
      items: [
        { number: 43, retry_at: null },
        { number: 42, retry_at, reason },
      ],
    });
    expect((await world.call("/")).text).toContain("model:test");
  });

  test("is ready when a delivery can be recorded, and 503 with Retry-After when not", async () => {
    let ready = true;
    await using world = await adminWorld({ readiness: () => ({ ready, sweep: "running" }) });

    const yes = await world.call("/readyz");
    ready = false;
    const no = await world.call("/readyz");

    expect([yes.status, yes.json]).toEqual([200, { sweep: "running" }]);
    expect([no.status, no.json]).toEqual([503, { sweep: "running" }]);
    expect(no.headers.get("retry-after")).toBe("10");
  });

  test("is scraped as text of Prometheus", async () => {
    await using world = await adminWorld();

    const answer = await world.call("/metrics");

    expect(answer.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    expect(answer.text).toBe("claude_hooks_sessions 0\n");
  });

  test("answers 503 when something of ours fails, and says nothing of the inside", async () => {
    await using world = await adminWorld({
      metricsText: () => Promise.reject(new Error("secret path /var/lib/x")),
    });

    const answer = await world.call("/metrics");

    expect(answer.status).toBe(503);
    expect(answer.headers.get("retry-after")).toBe("10");
    expect(answer.text).not.toContain("/var/lib");
    expect(world.logged.join()).toContain("secret path");
  });
});

describe("pausing", () => {
  test.each<readonly [unknown, string]>([
    [{}, '{"kind":"all"}'],
    [{ repo: "Acme/Widgets" }, '{"kind":"repo","repo":"acme/widgets"}'],
    [{ agent: "boss" }, '{"kind":"agent","agent":"boss"}'],
  ])("with %j and resuming", async (body, scope) => {
    await using world = await adminWorld();

    const paused = await world.call("/api/v1/pause", { body });
    const resumed = await world.call("/api/v1/resume", { body });

    expect(world.changed).toEqual([`pause ${scope}`, `resume ${scope}`]);
    expect(paused.json).toEqual({ paused: scope.includes("all"), pauses: [JSON.parse(scope)] });
    expect(resumed.json).toEqual({ paused: false, pauses: [] });
  });

  test("needs no body for everything", async () => {
    await using world = await adminWorld();

    expect((await world.call("/api/v1/pause", { method: "POST" })).status).toBe(200);
    expect(world.changed).toEqual(['pause {"kind":"all"}']);
  });

  test.each([
    '{"repo":"acme/widgets","agent":"boss"}',
    '{"repo":"widgets"}',
    '{"agent":1}',
    '{"all":true}',
    "[]",
    "null",
  ])("with %s is 400", async (body) => {
    await using world = await adminWorld();

    const answer = await world.call("/api/v1/pause", { body });

    expect(answer.status).toBe(400);
    expect(answer.text).toContain("error");
    expect(world.changed).toEqual([]);
  });

  test.each([
    [{ agent: "bos" }, "the configuration has no agent bos"],
    [{ repo: "acme/widget" }, "the configuration has no repository acme/widget"],
  ])("what nobody knows (%j) is 404, and can still be resumed", async (body, error) => {
    await using world = await adminWorld({
      isConfigured: (scope) => scope.kind === "all" || JSON.stringify(scope).includes("boss"),
    });

    const answer = await world.call("/api/v1/pause", { body });

    expect([answer.status, answer.json]).toEqual([404, { error }]);
    expect(world.changed).toEqual([]);
    expect((await world.call("/api/v1/pause", { body: { agent: "boss" } })).status).toBe(200);
    expect((await world.call("/api/v1/resume", { body })).status).toBe(200);
  });

  test("is not done by GET", async () => {
    await using world = await adminWorld();

    expect((await world.call("/api/v1/pause")).status).toBe(404);
    expect(world.changed).toEqual([]);
  });
});

describe("lists", () => {
  test("of deliveries are paged, newest first, with ISO times", async () => {
    await using world = await adminWorld();
    for (let count = 0; count < 3; count += 1) {
      await world.store.deliveries.record(
        {
          id: `0000000${count}`,
          event: "issues",
          repo: "acme/widgets",
          number: 42,
          sender: "alice",
          receivedAt: START + count,
          status: "accepted",
          reason: null,
          bodySha256: "00",
        },
        [],
      );
    }

    const first = (await world.call("/api/v1/deliveries?limit=2")).json as {
      deliveries: { id: string }[];
      next: string;
    };
    const rest = await world.call(`/api/v1/deliveries?limit=2&before=${first.next}`);

    expect(first.deliveries.map((row) => row.id)).toEqual(["00000002", "00000001"]);
    expect(rest.json).toEqual({
      deliveries: [
        {
          id: "00000000",
          event: "issues",
          repo: "acme/widgets",
          number: 42,
          sender: "alice",
          received_at: "2026-11-20T10:00:00.000Z",
          status: "accepted",
          reason: null,
        },
      ],
      next: null,
    });
  });

  test("of sessions are paged by last use, with the fields of sessions.json", async () => {
    await using world = await adminWorld();
    await world.store.sessions.put(session({ key: "a:acme/widgets#1", updatedAt: START + 1 }));
    await world.store.sessions.put(session({ key: "b:acme/widgets#1" }));
    await world.store.sessions.put(session({ key: "c:acme/widgets#1" }));

    const pages = [];
    let next: string | null = "";
    while (next !== null) {
      const before: string = next === "" ? "" : `&before=${encodeURIComponent(next)}`;
      const { json } = await world.call(`/api/v1/sessions?limit=1${before}`);
      const page = json as { sessions: { key: string }[]; next: string | null };
      pages.push(page.sessions);
      next = page.next;
    }

    expect(pages.flat().map((row) => row.key)).toEqual([
      "a:acme/widgets#1",
      "b:acme/widgets#1",
      "c:acme/widgets#1",
    ]);
    expect(pages[1]?.[0]).toEqual({
      key: "b:acme/widgets#1",
      agent: "boss",
      repo: "acme/widgets",
      number: 42,
      session_id: "6d2f1f2e-8f0c-4d52-9e1c-0a1b2c3d4e5f",
      created_at: "2026-11-20T10:00:00.000Z",
      updated_at: "2026-11-20T10:00:00.000Z",
      resumes: 1,
      tainted: false,
      age_seconds: 0,
      last_seen: "2026-11-20T10:00:00.000Z",
      why: "first",
      context_tokens: 0,
      tokens: { input: 0, output: 0, cache_read: 0, cache_write: 0 },
      usd: 0,
    } as never);
  });

  test.each(["deliveries", "items", "runs", "sessions"])("of %s may be empty", async (name) => {
    await using world = await adminWorld();

    expect((await world.call(`/api/v1/${name}`)).json).toEqual({ [name]: [], next: null });
  });

  const lists = ["deliveries", "items", "runs", "sessions"];
  const queries = [
    "limit=0",
    "limit=201",
    "limit=-1",
    "limit=x",
    "limit=1e2",
    "limit=",
    "before=",
    "before=%20",
    "before=abc",
  ];
  test.each(lists.flatMap((name) => queries.map((query) => `${name}?${query}`)))(
    "%s is 400",
    async (path) => {
      await using world = await adminWorld();

      const answer = await world.call(`/api/v1/${path}`);

      expect(answer.status).toBe(400);
      expect(answer.text).toMatch(/^\{"error":"(limit|before): /);
    },
  );
});

describe("a work item", () => {
  test("is told with its sessions, runs and effects", async () => {
    await using world = await adminWorld();
    await fillStore(world.store, START);
    await world.store.sessions.put(session({}));

    const { status, json } = await world.call("/api/v1/items/acme/widgets/42");

    expect(status).toBe(200);
    expect(json).toMatchObject({
      repo: "acme/widgets",
      number: 42,
      pull: 43,
      usd: 0,
      sessions: [{ key: "boss:acme/widgets#42", session_id: expect.any(String) }],
      runs: [
        {
          id: RUN_ID,
          agent: "boss",
          skill: "implement",
          repo: "acme/widgets",
          number: 42,
          attempt: 1,
          outcome: null,
          started_at: "2026-11-20T10:00:00.000Z",
          ended_at: null,
        },
      ],
      effects: [],
    });
  });

  test("is found by the number of its pull request and by any case of its name", async () => {
    await using world = await adminWorld();
    await fillStore(world.store, START);

    for (const path of ["acme/widgets/43", "ACME/Widgets/42"]) {
      const answer = await world.call(`/api/v1/items/${path}`);
      expect(answer.json).toMatchObject({ repo: "acme/widgets", number: 42 });
    }
  });

  test.each<readonly [string, number]>([
    ["acme/widgets/7", 404],
    ["acme/other/42", 404],
    ["acme/widgets/0", 400],
    ["acme/widgets/x", 400],
    ["acme/widgets/4.0", 400],
    ["acme/widgets/0x2a", 400],
    ["acme/widgets/99999999999", 400],
    ["acme/wid%2Fgets/42", 400],
    ["acme/widgets", 404],
    ["acme/widgets/42/park", 404],
    ["acme/widgets/42/reset", 404],
  ])("at %s is %d", async (path, status) => {
    await using world = await adminWorld();

    const answer = await world.call(`/api/v1/items/${path}`);

    expect(answer.status).toBe(status);
    expect(Object.keys(answer.json ?? {})).toEqual(["error"]);
  });
});

describe("a run", () => {
  test("is told, and an unknown one is 404", async () => {
    await using world = await adminWorld();
    await fillStore(world.store, START);

    const known = await world.call(`/api/v1/runs/${RUN_ID}`);
    const unknown = await world.call("/api/v1/runs/nope");

    expect(known.json).toMatchObject({ id: RUN_ID, repo: "acme/widgets", resumed: false });
    expect([unknown.status, unknown.json]).toEqual([404, { error: "run not known" }]);
    expect((await world.call("/api/v1/runs")).json).toMatchObject({ runs: [{ id: RUN_ID }] });
  });
});

test.each([
  "/nope",
  "/api/v1",
  "/api/v1/",
  "/api/v1/openapi.json",
  "/api/v1/drain",
  "/api/v1/statuses",
  "//api/v1/status",
  "/webhook",
])("%s is 404 in JSON", async (path) => {
  await using world = await adminWorld();
  const url = path.startsWith("//") ? `/x${path}` : path;

  const answer = await world.call(url);

  expect([answer.status, answer.json]).toEqual([404, { error: "not found" }]);
});

describe("the dashboard", () => {
  test("shows items, decisions, reasons and runs, and escapes what others wrote", async () => {
    await using world = await adminWorld();
    await fillStore(world.store, START);

    const { status, text } = await world.call("/");

    expect(status).toBe(200);
    expect(text).toContain("acme/widgets#42");
    expect(text).toContain("implement");
    expect(text).toContain("&lt;script&gt;alert(1)&lt;/script&gt;");
    expect(text).not.toContain(HOSTILE);
    expect(text).not.toMatch(/<script|<img|onerror=|javascript:/);
  });

  test("runs no script and loads nothing, by its content security policy", async () => {
    await using world = await adminWorld();

    const { headers, text } = await world.call("/");
    const policy = headers.get("content-security-policy") ?? "";
    const style = /<style>([^<]*)<\/style>/.exec(text)?.[1] ?? "";
    const hash = new Bun.CryptoHasher("sha256").update(style).digest("base64");

    expect(policy).toBe(
      `default-src 'none'; style-src 'sha256-${hash}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`,
    );
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    expect(headers.get("x-frame-options")).toBe("DENY");
    expect(headers.get("cache-control")).toBe("no-store");
    expect(headers.get("referrer-policy")).toBe("same-origin");
  });

  test("says when everything is paused", async () => {
    await using world = await adminWorld();
    await world.call("/api/v1/pause", { method: "POST" });

    expect((await world.call("/")).text).toContain("(paused)");
  });
});
