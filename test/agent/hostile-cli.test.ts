import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmod, mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { boundedLines } from "../../src/agent/bounded-lines.ts";
import { createAgent } from "../../src/agent/create-agent.ts";
import type { AgentEvent, AgentReport } from "../../src/ports/agent.ts";
import type { ProcessIdentity } from "../../src/ports/jail.ts";
import { createJail } from "../../src/sandbox/create-jail.ts";
import { createProcesses } from "../../src/sandbox/create-processes.ts";

setDefaultTimeout(30_000);

let dir = "";
beforeAll(async () => {
  dir = await mkdtemp("/tmp/ch-hostile-cli-");
  await Promise.all([mkdir(join(dir, "clone")), mkdir(join(dir, "home"))]);
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const INIT = { type: "system", subtype: "init", session_id: "s" };
const RESULT = {
  type: "result",
  subtype: "success",
  is_error: false,
  num_turns: 2,
  total_cost_usd: 0.5,
  permission_denials: [],
  result: "done",
  stop_reason: "end_turn",
};
const lines = (...messages: readonly unknown[]): string =>
  messages.map((message) => JSON.stringify(message)).join("\n");

/** A run whose CLI is a script that answers the SDK's greeting and then says what a test wants. */
async function told(said: string, script = 'cat "$0.out"'): Promise<Told> {
  const binary = join(dir, `cli-${Bun.hash(said + script)}`);
  const greeting = `read -r l; id=$(printf %s "$l" | sed 's/.*"request_id":"\\([^"]*\\)".*/\\1/')
echo '{"type":"control_response","response":{"subtype":"success","request_id":"'"$id"'","response":{}}}'`;
  await Bun.write(`${binary}.out`, `${said}\n`);
  await Bun.write(binary, `#!/bin/sh\n${greeting}\n${script.replaceAll("$0.out", "/clone/out")}\n`);
  await Bun.write(join(dir, "clone/out"), `${said}\n`);
  await chmod(binary, 0o755);
  using gateway = Bun.serve({ unix: join(dir, "g.sock"), fetch: () => new Response("") });
  const processes = createProcesses();
  const jail = createJail({ mode: "bwrap", dir: join(dir, "jail") });
  const agent = createAgent({ jail, processes, now: Date.now, binary });
  const events: AgentEvent[] = [];
  let process: ProcessIdentity | null = null;
  const report = await agent.run(
    {
      runId: "r",
      model: "claude-opus-5-5",
      clone: join(dir, "clone"),
      home: join(dir, "home"),
      session: { id: crypto.randomUUID(), resume: false },
      system: "s",
      prompt: "p",
      profile: "author",
      tools: [],
      door: {
        socket: join(dir, "g.sock"),
        url: null,
        credential: "c",
        meter: () => ({
          tokens: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 },
          usd: 0,
          requests: 0,
          contextTokens: 0,
          retryAt: null,
        }),
        close: () => Promise.resolve(),
      },
      egressSocket: null,
      read: [],
      limits: { usd: 1, turns: 1 },
    },
    {
      spawned: (identity) => {
        process = identity;
        return Promise.resolve();
      },
      heard: (event) => events.push(event),
      call: () => Promise.resolve({ ok: true, text: "" }),
    },
    new AbortController().signal,
  );
  await gateway.stop(true);
  const isAlive = process !== null && processes.isAlive(process);
  return { report, events, isAlive };
}
interface Told {
  readonly report: AgentReport;
  readonly events: readonly AgentEvent[];
  readonly isAlive: boolean;
}

describe("what somebody says in the CLI's name", () => {
  test("control: a whole result is the end", async () => {
    const { report, isAlive } = await told(lines(INIT, RESULT));

    expect(report).toEqual({
      end: { kind: "completed", text: "done" },
      began: true,
      turns: 2,
      usdTotal: 0.5,
      denials: 0,
    });
    expect(isAlive).toBe(false);
  });

  test.each([
    ["without any field", lines(INIT, { type: "result" })],
    ["of an error without its errors", lines(INIT, { ...RESULT, subtype: 7, errors: null })],
    ["without its text", lines(INIT, { ...RESULT, result: { text: "x" } })],
    ["with a negative cost", lines(INIT, { ...RESULT, total_cost_usd: -5 })],
    ["with an endless cost", lines(INIT, RESULT).replace("0.5", "1e999")],
    ["with half a turn", lines(INIT, { ...RESULT, num_turns: 0.5 })],
    ["with a number of denials", lines(INIT, { ...RESULT, permission_denials: 9 })],
  ])("a result %s is a death with figures that can be counted", async (_what, said) => {
    const { report } = await told(said);

    expect(report.end).toMatchObject({ kind: "died", message: expect.stringContaining("result") });
    for (const figure of [report.turns, report.usdTotal, report.denials]) {
      expect(Number.isFinite(figure) && figure >= 0).toBe(true);
    }
  });

  test("messages without their fields are heard and do no harm", async () => {
    const said = [
      { type: "assistant" },
      { type: "assistant", message: { content: [null, { type: "text" }] }, error: 5 },
      { type: "user", message: { content: 1 } },
      { type: "rate_limit_event" },
      { type: "rate_limit_event", rate_limit_info: { status: "rejected", resetsAt: "soon" } },
      { type: "system", subtype: "init", session_id: { a: 1 } },
      { type: "system", subtype: "api_retry", attempt: "x" },
      { type: "y".repeat(1_000) },
    ];

    const { report, events } = await told(lines(INIT, ...said, RESULT));

    expect(report.end).toEqual({ kind: "completed", text: "done" });
    expect(events.slice(1)).toContainEqual({ kind: "other", type: "unreadable" });
    expect(JSON.stringify(events).length).toBeLessThan(2_000);
  });

  test("a line without an end is cut off, and the process is ended", async () => {
    const before = process.memoryUsage.rss();
    const flood = `head -c 600000000 /dev/zero | tr '\\0' x; sleep 60`;

    const { report, isAlive } = await told(lines(INIT, RESULT), `cat /clone/out; ${flood}`);

    expect(report.end).toEqual({
      kind: "died",
      message: "the CLI wrote a line of more than 33554432 bytes",
    });
    expect(isAlive).toBe(false);
    expect(process.memoryUsage.rss() - before).toBeLessThan(300 * 1024 * 1024);
  });

  test("endless complaints on stderr leave only their end", async () => {
    // Far more than what may wait for the garbage collector, which comes when it likes.
    const flood = `head -c 900000000 /dev/zero | tr '\\0' x >&2; exit 3`;
    const before = process.memoryUsage.rss();

    const { report } = await told(lines(INIT), `cat /clone/out; ${flood}`);

    expect(report.end.kind).toBe("died");
    expect(JSON.stringify(report.end).length).toBeLessThan(1_200);
    expect(process.memoryUsage.rss() - before).toBeLessThan(600 * 1024 * 1024);
  });
});

describe("a stream of lines", () => {
  test.each([
    [["aaa\n", "bbb\n"], "aaa\nbbb\n", 0],
    [["aa", "aa\n", "bbbb\nccc"], "aaaa\nbbbb\nccc", 0],
    [["aaaaa"], "", 1],
    [["aa\nbb", "bbb", "b\nc\n"], "aa\nbb", 1],
    [["aaaaa\nb"], "", 1],
  ])("%j with at most four bytes a line", async (pieces, passed, calls) => {
    let count = 0;
    const stream = boundedLines(4, () => {
      count += 1;
    });
    let out = "";
    stream.on("data", (piece: Buffer) => {
      out += piece.toString();
    });
    const ended = new Promise((resolve) => stream.once("end", resolve));

    for (const piece of pieces) stream.write(Buffer.from(piece));
    stream.end();
    await ended;

    expect([out, count]).toEqual([passed, calls]);
  });
});
