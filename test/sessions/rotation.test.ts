import { describe, expect, test } from "bun:test";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { readConversation, say, use } from "../../demo/model/conversation.ts";
import type { RecordedRequest, Step } from "../../demo/model/endpoint.ts";
import { REPO } from "../../demo/scenario/widgets.ts";
import { forgeTool, IMPLEMENTING, type Talk } from "../support/model-steps.ts";
import { MODEL_KEY, type ServiceWorld, serviceWorld } from "../support/service-world.ts";

const ASK = forgeTool("ask_human", { question: "ss or nothing?" });
const HAND_OVER = "## Done\nI read it.\n## Open\nAll.\n## Decisions\nß is ss.\n## Pitfalls\nNone.";
const LEFT = "## What your earlier conversation left for you";

/** Only boss works. */
const wish = (limits: string) => ({
  repository: { review: "requested" },
  more: `limits: ${limits}`,
});

const isHandOver = ({ instructions, prompt }: { instructions: string; prompt: string }): boolean =>
  `${instructions}${prompt}`.includes("This conversation ends here");

/** Asks until it is told to go on; hands over with `handOver`. */
function talker(handOver: Step): { talk: Talk; work(): void } {
  let works = false;
  return {
    work: () => {
      works = true;
    },
    talk: (heard) => {
      if (isHandOver(heard)) return handOver;
      if (!works) return heard.calls.length === 0 ? ASK : say("Asked.");
      return IMPLEMENTING[heard.calls.length] ?? say("Done.");
    },
  };
}

/** Asks at the start and after the first answer, which is a resume; the second answer lets it work. */
async function twoAnswers(world: ServiceWorld, handOver: Step): Promise<void> {
  const { talk, work } = talker(handOver);
  world.script(talk);
  await world.issue();
  await world.until("a first question", async () => (await world.comments(1)).length === 1);
  await world.settled(1);
  await world.comment("alice", 1, "Say more");
  await world.until("a second question", async () => (await world.comments(1)).length === 3);
  await world.settled(1);
  work();
  await world.comment("alice", 1, "Make it ss, please");
  await world.line({ msg: "run ended", outcome: "succeeded" });
  await world.settled(1);
}

interface SessionView {
  readonly session_id: string;
  readonly resumes: number;
  readonly why: string;
  readonly usd: number;
  readonly tokens: Record<string, number>;
  readonly context_tokens: number;
  readonly tainted: boolean;
  readonly history: readonly {
    readonly session_id: string;
    readonly why: string;
    readonly ended_why: string | null;
    readonly usd: number;
  }[];
}

async function sessionOf(world: ServiceWorld): Promise<SessionView> {
  return (await world.admin("GET", `/api/v1/sessions/boss/${REPO}/1`)).json as SessionView;
}

const promptsOf = (requests: readonly RecordedRequest[]): readonly string[] => [
  ...new Set(requests.map((request) => readConversation(request)?.prompt ?? "")),
];

async function transcripts(world: ServiceWorld): Promise<readonly string[]> {
  const home = join(world.stateDir, "claude", REPO, "1/boss/projects");
  const found = await readdir(home, { recursive: true });
  return found.filter((name) => name.endsWith(".jsonl")).map((name) => name.replace(/.*\//, ""));
}

describe("a session that was resumed often enough", () => {
  test("hands over, and a new conversation goes on with the full prompt and the hand-over", async () => {
    await using world = await serviceWorld(wish("{ resumes: 1 }"));
    await twoAnswers(world, say(`Gladly.\n${HAND_OVER}`));

    const ids = world.matching({ msg: "starting session" }).map((line) => line["session"]);
    expect(ids).toHaveLength(2);
    expect(world.matching({ msg: "rotating session", why: "resumes" })).toHaveLength(1);
    const prompts = promptsOf(world.world.model?.requests ?? []);
    const asked = prompts.filter((prompt) => prompt.includes("This conversation ends here"));
    expect(asked).toHaveLength(1);
    expect(asked[0]?.split("\n")[0]).toMatch(
      /^claude-hooks: implement .* as boss, run .*, resume$/,
    );
    const last = prompts.at(-1) ?? "";
    expect(last.split("\n")[0]).toEndWith(", start");
    expect(last).toContain(LEFT);
    expect(last).toContain(HAND_OVER);
    expect(last).toContain("Make it ss, please");
    expect(await world.pulls()).toHaveLength(1);

    const asking = world.world.model?.requests.find((request) => {
      const heard = readConversation(request);
      return heard !== null && isHandOver(heard);
    });
    expect(asking).toBeDefined();
    expect(asking?.body.tools ?? []).toEqual([]);
    const session = await sessionOf(world);
    expect(session).toMatchObject({ session_id: ids[1], resumes: 0, why: "resumes" });
    expect(session.history).toMatchObject([
      { session_id: ids[1], why: "resumes", ended_why: null },
      { session_id: ids[0], why: "first", ended_why: "resumes" },
    ]);
    expect(await transcripts(world)).toEqual([`${String(ids[1])}.jsonl`]);
    expect((await world.runs()).map(({ resumed }) => resumed)).toEqual([false, true, false]);
  }, 40_000);

  test.each([
    ["says something else", say("No idea.")],
    ["calls tools that are not there", forgeTool("open_pull_request", { title: "a", body: "b" })],
  ])(
    "goes on without a hand-over when the old one %s",
    async (_, answer) => {
      await using world = await serviceWorld(wish("{ resumes: 1 }"));
      await twoAnswers(world, answer);

      expect(world.matching({ msg: "no hand-over, rotating without" })).toHaveLength(1);
      const last = promptsOf(world.requests()).at(-1) ?? "";
      expect(last.split("\n")[0]).toEndWith(", start");
      expect(last).not.toContain(LEFT);
      expect(await world.pulls()).toHaveLength(1);
    },
    40_000,
  );
});

test("a session whose newest request was large is rotated, and all money adds up to the endpoint's count", async () => {
  await using world = await serviceWorld(wish("{ context_tokens: 1000 }"));
  await twoAnswers(world, say(HAND_OVER));

  expect(world.matching({ msg: "rotating session", why: "context" })).toHaveLength(2);
  const counted = { input: 0, output: 0, cache_read: 0, cache_write: 0 };
  for (const { usage } of world.world.model?.requests ?? []) {
    counted.input += usage?.input_tokens ?? 0;
    counted.output += usage?.output_tokens ?? 0;
    counted.cache_read += usage?.cache_read_input_tokens ?? 0;
    counted.cache_write += usage?.cache_creation_input_tokens ?? 0;
  }
  const spending = (await world.admin("GET", "/api/v1/spending")).json as {
    all: { usd: number; tokens: unknown };
    agents: { agent: string; usd: number }[];
    days: { usd: number }[];
  };
  expect(spending.all.tokens).toEqual(counted);
  const session = await sessionOf(world);
  const sum = (rows: readonly { readonly usd: number }[]): number =>
    rows.reduce((total, { usd }) => total + usd, 0);
  expect(spending.all.usd).toBeGreaterThan(0);
  expect(sum(session.history)).toBeCloseTo(spending.all.usd, 9);
  expect(sum(spending.agents)).toBeCloseTo(spending.all.usd, 9);
  expect(sum(spending.days)).toBeCloseTo(spending.all.usd, 9);
  const runs = (await world.admin("GET", "/api/v1/runs")).json as { runs: { usd: number }[] };
  expect(sum(runs.runs)).toBeCloseTo(spending.all.usd, 9);
  const item = (await world.admin("GET", `/api/v1/items/${REPO}/1`)).json as { usd: number };
  expect(item.usd).toBeCloseTo(spending.all.usd, 9);
}, 40_000);

test("a conversation that the model takes no more is replaced in the same run, without a hand-over", async () => {
  await using world = await serviceWorld(wish("{ resumes: 20 }"));
  const full: Step = {
    status: 400,
    body: {
      type: "error",
      error: {
        type: "invalid_request_error",
        message: "prompt is too long: 250000 tokens > 200000 maximum",
      },
    },
  };
  world.script(({ calls }) => (calls.length === 0 ? ASK : say("Asked.")));
  await world.issue();
  await world.line({ msg: "run ended", outcome: "asked" });
  await world.settled(1);
  world.script((heard) => {
    if (heard.resumed) return full;
    return IMPLEMENTING[heard.calls.length] ?? say("Done.");
  });
  await world.comment("alice", 1, "Make it ss, please");
  await world.line({ msg: "run ended", outcome: "succeeded" });

  expect(world.matching({ msg: "context full, starting fresh" })).toHaveLength(1);
  expect(await world.pulls()).toHaveLength(1);
  const session = await sessionOf(world);
  expect(session.why).toBe("context_full");
  expect(session.history[1]).toMatchObject({ why: "first", ended_why: "context_full" });
}, 40_000);

describe("a tainted session", () => {
  test.each([
    ["taints the new one by what it hands over", say(HAND_OVER), true],
    ["that hands nothing over taints nothing", say("No idea."), false],
  ])(
    "%s",
    async (_, answer, tainted) => {
      await using world = await serviceWorld(wish("{ resumes: 1 }"));
      const { talk, work } = talker(answer);
      world.script(talk);
      await world.issue();
      await world.line({ msg: "run ended", outcome: "asked" });
      await world.settled(1);
      await taint(world);
      await world.comment("alice", 1, "Say more");
      await world.until("a second question", async () => (await world.comments(1)).length === 3);
      await world.settled(1);
      expect((await sessionOf(world)).tainted).toBe(true);
      work();
      await world.comment("alice", 1, "Make it ss, please");
      await world.line({ msg: "run ended", outcome: "succeeded" });

      expect((await sessionOf(world)).tainted).toBe(tainted);
    },
    40_000,
  );
});

/** By hand, while the service is stopped: no person without write access is needed for that. */
async function taint(world: ServiceWorld): Promise<void> {
  const file = join(world.stateDir, "sessions.json");
  await world.until("the session in its mirror", async () =>
    (await readFile(file, "utf8")).includes('"tainted":false'),
  );
  await world.kill();
  const text = await readFile(file, "utf8");
  await writeFile(file, text.replace('"tainted":false', '"tainted":true'));
  await world.startAgain();
}

test("the commands show a conversation without secrets, and forget all sessions of a work item", async () => {
  await using world = await serviceWorld(wish("{ resumes: 1 }"));
  const { talk } = talker(say(HAND_OVER));
  world.script((heard) => {
    if (heard.calls.length > 0) return talk(heard);
    return use("Bash", { command: `echo ${MODEL_KEY}; echo so` });
  });
  await world.issue();
  await world.line({ msg: "run ended" });
  await world.settled(1);

  const shown = await world.cli("sessions", "show", "boss", `${REPO}#1`, "--transcript");
  expect(shown).toMatchObject({ code: 0, errors: "" });
  expect(shown.out).toContain("--- user");
  expect(shown.out).toContain("claude-hooks: implement");
  expect(shown.out).toContain('> Bash {"command":"echo [secret]; echo so"');
  expect(shown.out).not.toContain(MODEL_KEY);

  const reset = await world.cli("items", "reset", `${REPO}#1`);
  expect(reset).toMatchObject({ code: 0, out: `forgot 1 session of ${REPO}#1\n` });
  const after = await world.cli("sessions", "show", "boss", `${REPO}#1`);
  expect(after.out).toMatch(/because +reset/);
  const none = await world.cli("sessions", "show", "boss", `${REPO}#1`, "--transcript");
  expect(none.code).toBe(1);
  expect(none.errors).toContain("has no conversation that is kept");
  await world.comment("alice", 1, "Go on");
  await world.until("a new session", () => world.matching({ msg: "starting session" })[1]);
  expect((await sessionOf(world)).why).toBe("reset");
}, 40_000);

test("a work item is not reset while a run of it is alive", async () => {
  await using world = await serviceWorld(wish("{ resumes: 1 }"));
  world.script(() => ({ hang: true }));
  await world.issue();
  await world.until("the model is asked", () => world.requests().length > 0);

  const { status } = await world.admin("POST", `/api/v1/items/${REPO}/1/reset`, {});
  expect(status).toBe(409);
  expect((await world.cli("items", "reset", `${REPO}#1`)).errors).toContain("alive");
}, 40_000);
