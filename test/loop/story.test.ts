import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readConversation } from "../../demo/model/conversation.ts";
import type { RecordedRequest } from "../../demo/model/endpoint.ts";
import { type DemoResult, playDemo } from "../../demo/scenario/demo.ts";
import type { StoryEvent } from "../../demo/scenario/story.ts";
import { ISSUE, REPO } from "../../demo/scenario/widgets.ts";
import { expectPrefix } from "../support/conversation-prefix.ts";

const DEMO = fileURLToPath(new URL("../../demo/main.ts", import.meta.url));
const SKILLS = fileURLToPath(new URL("../../skills", import.meta.url));

describe("the story of one issue", () => {
  let dir = "";
  let result: DemoResult;
  const events: StoryEvent[] = [];
  const of = (kind: string) => events.filter((event) => event.kind === kind);

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "ch-story-"));
    result = await playDemo({
      dir,
      liveKey: null,
      onEvent: (event) => events.push(event),
      onNote: () => undefined,
    });
  }, 60_000);

  afterAll(async () => {
    await result?.stop();
    await rm(dir, { recursive: true, force: true });
  }, 30_000);

  test("ends merged, after five runs of which two resume", () => {
    expect(result).toMatchObject({ pull: 2, problem: null });
    const runs = of("run_ended").map(({ agent, skill, outcome }) => `${agent} ${skill} ${outcome}`);
    expect(runs).toEqual([
      "boss implement succeeded",
      "reviewer review succeeded",
      "boss address-review succeeded",
      "reviewer review succeeded",
      "code-lead merge succeeded",
    ]);
    expect(of("effect").map(({ effect }) => effect)).toEqual([
      "open_pull_request",
      "submit_review",
      "hand_in",
      "submit_review",
      "request_merge",
    ]);
    expect(of("run_started").map(({ resumed }) => resumed)).toEqual([
      false,
      false,
      true,
      true,
      false,
    ]);
  });

  test.each([
    ["boss", "implement", "address-review-delta"],
    ["reviewer", "review", "review-delta"],
  ] as const)(
    "%s resumes its own conversation with the delta prompt",
    async (agent, before, delta) => {
      const started = of("run_started").filter((event) => event["agent"] === agent);
      expect(started).toHaveLength(2);
      expect(started[1]?.["session"]).toBe(started[0]?.["session"]);
      const talks = requestsOf(agent);
      const earlier = talks.findLast(({ talk }) => !talk.resumed);
      const later = talks.find(({ talk }) => talk.resumed);
      expectPrefix(later?.request, earlier?.request);
      const text = async (name: string): Promise<string> =>
        (await readFile(join(SKILLS, `${name}.md`), "utf8")).trim();
      expect(earlier?.talk.instructions).toBe(await text(before));
      expect(later?.talk.instructions).toBe(await text(delta));
      // What the conversation holds already is not told again.
      expect(earlier?.talk.prompt).toContain(ISSUE.body);
      expect(later?.talk.prompt).not.toContain(ISSUE.body);
    },
  );

  test("leaves no session, clone, transcript or branch behind", async () => {
    const { world } = result;
    if (world === null) throw new Error("there is no world");
    const { stateDir } = world.service;
    for (const place of ["work", "claude"]) {
      expect(await readdir(join(stateDir, place, REPO)).catch(() => [])).toEqual([]);
    }
    const branches = (await world.api("alice", "GET", `/repos/${REPO}/branches`)) as {
      name: string;
    }[];
    expect(branches.map(({ name }) => name)).toEqual(["main"]);
    expect(await world.api("alice", "GET", `/repos/${REPO}/issues/1`)).toMatchObject({
      state: "closed",
    });
    expect(world.forge.errors).toEqual([]);
    await result.stop();
    const { sessions } = JSON.parse(await readFile(join(stateDir, "sessions.json"), "utf8")) as {
      sessions: unknown[];
    };
    expect(sessions).toEqual([]);
    expect(await world.service.exited).toBe(0);
  }, 30_000);

  function requestsOf(agent: string) {
    return (result.world?.model?.requests ?? []).flatMap((request: RecordedRequest) => {
      const talk = request.main ? readConversation(request) : null;
      return talk?.agent === agent ? [{ request, talk }] : [];
    });
  }
});

describe("the demo as a command", () => {
  const FIELDS: Readonly<Record<string, readonly string[]>> = {
    delivery: ["event"],
    decision: ["decision", "agent", "reason"],
    run_started: ["agent", "skill", "run", "session", "resumed", "prompt_bytes"],
    run_ended: ["agent", "skill", "run", "outcome", "usd"],
    effect: ["agent", "effect", "number"],
    merged: ["pull", "sha"],
    done: ["ok", "pull"],
  };

  test("with --json tells one JSON object a line and ends with done", async () => {
    const { code, out } = await runDemo("--json");
    const told = out
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(code).toBe(0);
    let before = 0;
    for (const line of told) {
      const kind = String(line["kind"]);
      expect(Object.keys(line)).toEqual(expect.arrayContaining([...(FIELDS[kind] ?? ["?"])]));
      expect(line["t"]).toBeGreaterThanOrEqual(before);
      before = Number(line["t"]);
    }
    expect(told[0]?.["t"]).toBe(0);
    expect(new Set(told.map(({ kind }) => kind))).toEqual(new Set(Object.keys(FIELDS)));
    expect(told.at(-1)).toMatchObject({ kind: "done", ok: true, pull: 2 });
    expect(told.filter(({ kind }) => kind === "run_started")).toHaveLength(5);
  }, 60_000);

  test("without it tells sentences and ends with the merge, whatever demo came before", async () => {
    const { code, out } = await runDemo();
    expect(out.trimEnd().split("\n").at(-1)).toMatch(/^demo: merged acme\/widgets#2 /u);
    expect(out).toMatch(/dashboard http:\/\/127\.0\.0\.1:\d+/u);
    expect(code).toBe(0);
  }, 60_000);
});

async function runDemo(...args: readonly string[]): Promise<{ code: number; out: string }> {
  const child = Bun.spawn([process.execPath, DEMO, ...args], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "ignore",
  });
  try {
    return { out: await new Response(child.stdout).text(), code: await child.exited };
  } finally {
    child.kill();
  }
}
