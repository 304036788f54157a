import { expect, test } from "bun:test";
import { rm } from "node:fs/promises";
import { parseJson } from "../../src/json/parse.ts";
import { ADMIN_TOKEN, cliEnvironment, type SeenCall, serviceWorld } from "./cli-world.ts";

const ITEM = {
  repo: "acme/widgets",
  number: 42,
  pull: 43,
  state: "parked",
  decision: "park",
  reason: "waits for bob's review",
  retry_at: "2026-11-22T12:30:00.000Z",
  usd: 1.255,
};
const RUN = {
  id: "run-7",
  agent: "boss",
  skill: "implement",
  repo: "acme/widgets",
  number: 42,
  attempt: 1,
  session: "5e55-1d",
  resumed: false,
  outcome: "succeeded",
  reason: null,
  started_at: "2026-11-22T10:00:00.000Z",
  ended_at: "2026-11-22T10:05:00.000Z",
  usd: 1.2,
};
const LIVING = { ...RUN, id: "run-8", outcome: null, ended_at: null, resumed: true };
const SESSION = {
  key: "boss:acme/widgets#42",
  agent: "boss",
  repo: "acme/widgets",
  number: 42,
  session_id: "5e55-1d",
  created_at: "2026-11-22T10:00:00.000Z",
  updated_at: "2026-11-22T10:05:00.000Z",
  resumes: 2,
  tainted: true,
  age_seconds: 90_000,
  last_seen: "2026-11-22T10:05:00.000Z",
  why: "resumes",
  context_tokens: 4321,
  tokens: { input: 1, output: 2, cache_read: 30, cache_write: 400 },
  usd: 1.255,
};
const CONVERSATION = {
  session_id: "0ld",
  why: "first",
  started_at: "2026-11-20T10:00:00.000Z",
  last_seen: "2026-11-22T09:00:00.000Z",
  ended_at: "2026-11-22T10:00:00.000Z",
  ended_why: "age",
  handed_over: false,
  context_tokens: 99,
  tokens: SESSION.tokens,
  usd: 0.5,
};
const EFFECT = {
  id: 1,
  tool: "open_pull_request",
  state: "done",
  run: "run-7",
  ref: 43,
  text: "opened #43",
  at: "2026-11-22T10:04:00.000Z",
};
const DELIVERY = {
  id: "d-1",
  event: "issues",
  repo: "acme/widgets",
  number: 42,
  sender: "bob",
  received_at: "2026-11-22T09:59:59.000Z",
  status: "accepted",
  reason: null,
};
const STATUS = {
  version: "0.1.0",
  paused: false,
  pauses: [
    { kind: "repo", repo: "acme/gears" },
    { kind: "agent", agent: "boss" },
  ],
  deliveries: { accepted: 12, duplicate: 1, ignored: 2, refused: 3 },
  runs: { started: 5, succeeded: 3, failed: 1, parked: 0, active: 1 },
  queue: { waiting: 4, active: 1 },
};

/** What the stub answers, by method and path. */
const ANSWERS: Readonly<Record<string, unknown>> = {
  "GET /api/v1/status": STATUS,
  "GET /api/v1/items": { items: [ITEM, { ...ITEM, number: 7, pull: null }], next: "17" },
  "GET /api/v1/items?limit=5&before=17": { items: [], next: null },
  "GET /api/v1/items/acme/widgets/42": {
    ...ITEM,
    snapshot: null,
    runs: [LIVING, RUN],
    sessions: [SESSION],
    effects: [EFFECT],
  },
  "GET /api/v1/runs": { runs: [LIVING, RUN], next: null },
  "GET /api/v1/runs/run-7": RUN,
  "GET /api/v1/sessions": { sessions: [SESSION], next: null },
  "GET /api/v1/deliveries": { deliveries: [DELIVERY], next: null },
  "GET /api/v1/sessions/boss/acme/widgets/42": { ...SESSION, history: [CONVERSATION] },
  "GET /api/v1/sessions/gone/acme/widgets/42": {
    key: "gone:acme/widgets#42",
    history: [{ ...CONVERSATION, ended_why: "reset" }],
  },
  "GET /api/v1/sessions/boss/acme/widgets/42/transcript": {
    session_id: "5e55-1d",
    transcript: "--- user\nHello\u001b[31m\n\tthere\u202e",
  },
  "POST /api/v1/items/acme/widgets/42/reset": { sessions: 2 },
  "POST /api/v1/items/acme/widgets/42/park": ITEM,
  "POST /api/v1/items/acme/widgets/42/continue": ITEM,
  "POST /api/v1/runs/run-7/cancel": { ...RUN, outcome: "cancelled" },
  "POST /api/v1/runs/run-7/retry": ITEM,
  "POST /api/v1/drain": { draining: true, active: 2 },
  "POST /reset": { session: true },
  "POST /api/v1/pause": { paused: true, pauses: [] },
  "POST /api/v1/resume": { paused: false, pauses: [] },
};

function answerOf(call: SeenCall): Response {
  const answer = ANSWERS[`${call.method} ${call.path}`];
  return answer === undefined
    ? Response.json({ error: "item not known" }, { status: 404 })
    : Response.json(answer);
}

/** Command line, the one call it makes, and what people see of the answer. */
const COMMANDS: readonly (readonly [string, string, unknown, readonly string[]])[] = [
  [
    "status",
    "GET /api/v1/status",
    null,
    ["paused      acme/gears, boss", "deliveries  accepted 12, duplicate 1, ignored 2, refused 3"],
  ],
  [
    "items list",
    "GET /api/v1/items",
    null,
    ["acme/widgets#42  #43   parked", "acme/widgets#7   -", "$1.25", "more: --before 17"],
  ],
  [
    "items list --limit 5 --before 17",
    "GET /api/v1/items?limit=5&before=17",
    null,
    ["no work items"],
  ],
  [
    "items show acme/widgets#42",
    "GET /api/v1/items/acme/widgets/42",
    null,
    [
      "state     parked",
      "decision  park",
      "reason    waits for bob's review",
      "retry at  2026-11-22 12:30:00",
      "pull      #43",
      "run-7",
      "boss:acme/widgets#42",
      "open_pull_request",
      "opened #43",
    ],
  ],
  ["runs list", "GET /api/v1/runs", null, ["run-8  acme/widgets#42  boss   implement  running"]],
  ["runs show run-7", "GET /api/v1/runs/run-7", null, ["outcome  succeeded", "resumed  no"]],
  ["sessions list", "GET /api/v1/sessions", null, ["boss:acme/widgets#42  5e55-1d  2        yes"]],
  [
    "sessions show boss acme/widgets#42",
    "GET /api/v1/sessions/boss/acme/widgets/42",
    null,
    [
      "id             5e55-1d",
      "began because  resumes",
      "age            1 d",
      "resumes        2",
      "tainted        yes",
      "context        4321",
      "tokens         433",
      "cost           $1.25",
      "last seen      2026-11-22 10:05:00",
      "2026-11-22 10:00:00  age",
    ],
  ],
  [
    "sessions show gone acme/widgets#42",
    "GET /api/v1/sessions/gone/acme/widgets/42",
    null,
    ["dropped  2026-11-22 10:00:00", "because  reset"],
  ],
  [
    "sessions show boss acme/widgets#42 --transcript",
    "GET /api/v1/sessions/boss/acme/widgets/42/transcript",
    null,
    ["--- user\nHello[31m\n\tthere\n"],
  ],
  [
    "items reset acme/widgets#42",
    "POST /api/v1/items/acme/widgets/42/reset",
    {},
    ["forgot 2 sessions of acme/widgets#42"],
  ],
  [
    "sessions reset boss acme/widgets#42",
    "POST /reset",
    { agent: "boss", repo: "acme/widgets", issue: 42 },
    ["forgot the session of boss on acme/widgets#42"],
  ],
  [
    "deliveries list",
    "GET /api/v1/deliveries",
    null,
    ["2026-11-22 09:59:59  issues  acme/widgets#42  bob"],
  ],
  [
    "items park acme/widgets#42",
    "POST /api/v1/items/acme/widgets/42/park",
    {},
    ["parked acme/widgets#42"],
  ],
  [
    "items continue acme/widgets#42",
    "POST /api/v1/items/acme/widgets/42/continue",
    {},
    ["continued acme/widgets#42"],
  ],
  ["runs cancel run-7", "POST /api/v1/runs/run-7/cancel", {}, ["outcome  cancelled"]],
  ["runs retry run-7", "POST /api/v1/runs/run-7/retry", {}, ["acme/widgets#42 goes on"]],
  ["drain", "POST /api/v1/drain", {}, ["draining: 2 still running"]],
  ["pause", "POST /api/v1/pause", {}, ["paused everything"]],
  ["pause acme/widgets", "POST /api/v1/pause", { repo: "acme/widgets" }, ["paused acme/widgets"]],
  ["resume boss", "POST /api/v1/resume", { agent: "boss" }, ["resumed boss"]],
];

for (const [line, call, body, expected] of COMMANDS) {
  test(`\`${line}\` is one call of the admin API, shown to people`, async () => {
    await using world = await serviceWorld(answerOf);

    const end = await world.run(line.split(" "));

    expect(end.errors).toBe("");
    expect(end.code).toBe(0);
    expect(world.calls).toEqual([
      {
        method: call.split(" ")[0] ?? "",
        path: call.split(" ")[1] ?? "",
        authorization: `Bearer ${ADMIN_TOKEN}`,
        body,
      },
    ]);
    for (const text of expected) {
      expect(end.out).toContain(text);
    }
    expect(end.out).not.toContain("\u001b[");
    expect(end.out).not.toContain("undefined");
  });

  test(`\`${line} --json\` prints one JSON value`, async () => {
    await using world = await serviceWorld(answerOf);

    const end = await world.run([...line.split(" "), "--json"]);

    expect(end).toMatchObject({ code: 0, errors: "" });
    expect(parseJson(end.out)).toEqual(ANSWERS[call]);
  });
}

const USAGE: readonly string[] = [
  "items show widgets#42",
  "items show acme/widgets#0",
  "items show acme/widgets",
  "items show",
  "items list --limit 0",
  "items list --limit many",
  "items list more",
  "items",
  "runs show",
  "sessions reset boss",
  "sessions reset boss 42",
  "sessions show Boss acme/widgets#42",
  "sessions show ../x acme/widgets#42",
  "items reset acme/widgets",
  "items park",
  "items continue 42",
  "runs cancel",
  "runs retry",
  "drain now",
  "pause a/b/c",
  "pause Boss!",
  "status --bogus",
  "bogus",
  "init",
  "",
];

for (const line of USAGE) {
  test(`\`claude-hooks ${line}\` is wrong usage: exit 2, nothing asked, a reason said`, async () => {
    await using world = await serviceWorld(answerOf);

    const end = await world.run(line === "" ? [] : line.split(" "));

    expect(end.code).toBe(2);
    expect(end.out).toBe("");
    expect(end.errors).not.toBe("");
    expect(world.calls).toEqual([]);
  });
}

test("--help is no mistake, at every level", async () => {
  await using world = await serviceWorld(answerOf);

  for (const args of [["--help"], ["items", "--help"], ["items", "show", "--help"], ["help"]]) {
    const end = await world.run(args);

    expect(end.code).toBe(0);
    expect(end.out).toContain("Usage: claude-hooks");
    expect(end.out).toContain("--config <file>");
  }
});

test("what the service refuses is said in its own words, exit 1", async () => {
  await using world = await serviceWorld(() =>
    Response.json({ error: "a run of this session is alive" }, { status: 409 }),
  );

  const end = await world.run(["sessions", "reset", "boss", "acme/widgets#42"]);

  expect(end.code).toBe(1);
  expect(end.errors).toBe(
    "claude-hooks: the service answered 409: a run of this session is alive\n",
  );
});

test("an item that nobody knows has nothing to reset: that is said, exit 1", async () => {
  await using world = await serviceWorld(() =>
    Response.json({ error: "item not known" }, { status: 404 }),
  );

  const end = await world.run(["items", "reset", "acme/widgets#7777"]);

  expect(end).toMatchObject({ code: 1, out: "" });
  expect(end.errors).toBe("claude-hooks: the service answered 404: item not known\n");
});

test("`pause` before the first start of the service says what is missing, in one line, exit 1", async () => {
  await using world = await serviceWorld(answerOf);
  const state = `${world.directory.path}/state`;
  await rm(state, { recursive: true });

  const end = await world.run(["pause"]);

  expect(end).toMatchObject({ code: 1, out: "" });
  expect(end.errors).toBe(
    `claude-hooks: there is nothing to pause: the state directory ${state} does not exist, no service was started with this configuration yet\n`,
  );
});

test("an agent without a session is said, exit 1", async () => {
  await using world = await serviceWorld(answerOf);

  const end = await world.run(["sessions", "show", "reviewer", "acme/widgets#42"]);

  expect(end).toMatchObject({ code: 1, out: "" });
  expect(end.errors).toContain("the service answered 404");
});

test("another token than the service's is said, without showing it", async () => {
  await using world = await serviceWorld(answerOf);
  await world.directory.write("secrets/admin", "another-token-xyz\n");

  const end = await world.run(["status"]);

  expect(end.code).toBe(1);
  expect(end.errors).toContain("401");
  expect(end.errors).toContain("admin.token");
  expect(end.errors).not.toContain("another-token-xyz");
});

test("an answer in another form is said, not half shown", async () => {
  await using world = await serviceWorld(() => Response.json({ items: "none" }));

  const end = await world.run(["items", "list"]);

  expect(end).toMatchObject({ code: 1, out: "" });
  expect(end.errors).toContain('cannot be read (at "items")');
});

test("text of strangers cannot command the terminal", async () => {
  const reason = "a\u001b[2Jb\u202Ec\nd";
  await using world = await serviceWorld(() =>
    Response.json({ items: [{ ...ITEM, reason }], next: null }),
  );

  const end = await world.run(["items", "list"]);

  expect(end.out).toContain("a[2Jbc d");
  expect(end.out).not.toContain("\u001b");
  expect(end.out).not.toContain("\u202E");
});

test("colours are used when they are asked for, and never with NO_COLOR", async () => {
  await using world = await serviceWorld(answerOf);

  const coloured = await world.run(["items", "list"], { FORCE_COLOR: "1" });
  const plain = await world.run(["items", "list"], { FORCE_COLOR: "1", NO_COLOR: "1" });

  expect(coloured.out).toContain("\u001b[");
  expect(plain.out).not.toContain("\u001b[");
  expect(Bun.stripANSI(coloured.out)).toBe(plain.out);
});

test("the admin token never goes through a proxy", async () => {
  await using world = await serviceWorld(answerOf);
  let asked = 0;
  await using proxy = Bun.serve({
    port: 0,
    fetch: () => {
      asked += 1;
      return Response.json(STATUS);
    },
  });
  const address = `http://127.0.0.1:${proxy.port}`;

  const end = await world.run(["status"], { HTTP_PROXY: address, http_proxy: address });

  expect(end.code).toBe(0);
  expect(asked).toBe(0);
  expect(world.calls).toHaveLength(1);
});

test("without a service the commands say so, exit 1", async () => {
  await using world = await serviceWorld(answerOf);
  const { directory } = world;
  const file = `${directory.path}/state/serve.json`;
  const refused = Bun.serve({ port: 0, fetch: () => new Response("") });
  const { port } = refused;
  await refused.stop(true);

  await directory.write("state/serve.json", `{"pid":4711,"admin":"http://127.0.0.1:${port}"}`);
  const left = await world.run(["status"]);
  await directory.write("state/serve.json", '{"pid":4711,"admin":"http://192.0.2.1:80"}');
  const elsewhere = await world.run(["status"]);
  await directory.write("state/serve.json", "torn");
  const torn = await world.run(["status"]);
  await Bun.file(file).delete();
  const none = await world.run(["status", "--json"]);

  expect([left.code, elsewhere.code, torn.code, none.code]).toEqual([1, 1, 1, 1]);
  expect(left.errors).toContain(
    `no service is running: nothing answers at http://127.0.0.1:${port}`,
  );
  expect(left.errors).toContain("process 4711");
  expect(elsewhere.errors).toContain("is not one a service has written");
  expect(torn.errors).toContain("is not one a service has written");
  expect(none.errors).toContain(`no service is running: ${file} does not exist`);
  expect(none.out).toBe("");
});

test("a reader that has seen enough is no failure", async () => {
  const items = Array.from({ length: 20_000 }, (_, number) => ({ ...ITEM, number: number + 1 }));
  await using world = await serviceWorld(() => Response.json({ items, next: null }));
  const script = `"$0" "$1" items list | head -n 1; echo "\${PIPESTATUS[0]}"`;
  const main = new URL("../../src/cli/main.ts", import.meta.url).pathname;

  const child = Bun.spawn(["bash", "-c", script, process.execPath, main], {
    cwd: world.directory.path,
    env: { ...cliEnvironment(), HOME: "/nonexistent" },
    stdout: "pipe",
    stderr: "pipe",
  });

  const lines = (await new Response(child.stdout).text()).trim().split("\n");
  expect(lines[0]).toContain("ITEM");
  expect(lines[1]).toBe("0");
  expect(await new Response(child.stderr).text()).toBe("");
});
