import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { plainMessages } from "../../demo/model/messages-request.ts";
import type { TranscriptStore } from "../../src/ports/transcripts.ts";
import { agentWorld } from "../support/agent-world.ts";
import { expectPrefix } from "../support/conversation-prefix.ts";
import { until } from "../support/session-world.ts";
import { transcriptWorld } from "../support/transcript-world.ts";

setDefaultTimeout(30_000);

const SESSION = "boss:acme/widgets#1";
const keeping = (fence: number, owner = "host-1") => ({
  session: SESSION,
  holder: { owner, fence },
});
const bash = (command: string) => ({ tools: [{ name: "Bash", input: { command } }] });

test("a session begun on one host goes on on another with an empty home and another clone, its first request beginning with all of the earlier ones", async () => {
  await using shared = await transcriptWorld();
  await using one = await agentWorld("bwrap", shared);
  await using two = await agentWorld("bwrap", shared);
  const id = crypto.randomUUID();
  let asked = 0;
  one.script(() => {
    asked += 1;
    return asked < 3 ? bash(`echo step ${asked}`) : { text: "FIRST DONE" };
  });

  const first = await one.run({
    session: { id, resume: false },
    prompt: "run r1, start FIRST",
    keeping: keeping(1),
  });
  two.script(() => ({ text: "SECOND DONE" }));
  expect(await readdir(two.home)).toEqual([]);
  const place = { key: SESSION, home: two.home };
  expect(await two.agent.hasTranscript(place, id)).toBe(true);
  expect(await two.agent.holdsPrompt(place, id, "r1")).toBe(true);
  expect(await two.agent.holdsPrompt(place, id, "r2")).toBe(false);
  const second = await two.run({
    session: { id, resume: true },
    prompt: "run r2, resume SECOND",
    keeping: keeping(2, "host-2"),
  });

  expect(first.report.end.kind).toBe("completed");
  expect(second.report).toMatchObject({ end: { kind: "completed", text: "SECOND DONE" } });
  expectPrefix(two.main()[0], one.main().at(-1));
  const text = await two.agent.readTranscript(place, id, (words) => words.replace("step", "s***"));
  expect(text).toMatch(/FIRST.*s\*\*\* 1.*s\*\*\* 2.*FIRST DONE.*SECOND.*SECOND DONE/s);
  expect(text).not.toContain("step");
  expect(shared.warnings).toEqual([]);
});

test("a third run back on the first host goes by the store, not by the older file it still has", async () => {
  await using shared = await transcriptWorld();
  await using one = await agentWorld("bwrap", shared);
  await using two = await agentWorld("bwrap", shared);
  const id = crypto.randomUUID();

  await one.run({ session: { id, resume: false }, prompt: "AAA", keeping: keeping(1) });
  await two.run({ session: { id, resume: true }, prompt: "BBB", keeping: keeping(2, "host-2") });
  await one.run({ session: { id, resume: true }, prompt: "CCC", keeping: keeping(3) });

  const last = one.main().at(-1);
  expectPrefix(last, two.main().at(-1));
  const words = last === undefined ? "" : JSON.stringify(plainMessages(last.body));
  expect(words).toMatch(/AAA.*BBB.*CCC/);
});

test("a CLI killed in the middle of a run is resumed elsewhere with what it had done", async () => {
  await using shared = await transcriptWorld();
  await using one = await agentWorld("bwrap", shared);
  await using two = await agentWorld("bwrap", shared);
  const id = crypto.randomUUID();
  let pid = 0;
  let asked = 0;
  one.script(() => {
    asked += 1;
    return bash(asked === 1 ? "echo STEP ONE" : "sleep 20");
  });

  const running = one.run({
    session: { id, resume: false },
    keeping: keeping(1),
    spawned: async (identity) => {
      pid = identity.pid;
    },
  });
  // The CLI hands its lines on a moment after it has gone on.
  const isKept = (line: string): boolean => line.includes("tool_result") && /STEP ONE/.test(line);
  await until(async () => (await shared.all({ session: SESSION, id })).some(isKept));
  process.kill(pid, "SIGKILL");
  const first = await running;
  const second = await two.run({
    session: { id, resume: true },
    prompt: "continue",
    keeping: keeping(2, "host-2"),
  });

  expect(first.report.end.kind).toBe("died");
  expect(second.report.end.kind).toBe("completed");
  const words = JSON.stringify(plainMessages(two.main()[0]?.body ?? { model: "", messages: [] }));
  expect(words).toMatch(/Do it.*STEP ONE.*continue/);
});

test("a store that never answers an append holds the result up for less than five seconds", async () => {
  await using shared = await transcriptWorld();
  const hanging: TranscriptStore = {
    ...shared.store,
    append: () => new Promise<number>(() => undefined),
  };
  await using world = await agentWorld("bwrap", { ...shared, store: hanging });
  let answeredAt = 0;
  world.script(() => {
    answeredAt = performance.now();
    return { text: "done" };
  });

  const { report } = await world.run({ keeping: keeping(1) });

  // The process of a CLI takes about one second from its last answer to its exit.
  expect(performance.now() - answeredAt).toBeLessThan(6_000);
  expect(report.end).toEqual({ kind: "completed", text: "done" });
  expect(shared.warnings.map(({ message }) => message)).toEqual([
    "the shared transcript is behind: the conversation goes on from before these lines",
  ]);
});

test("a conversation that the store has lost is not resumed, whatever lies in the home", async () => {
  await using shared = await transcriptWorld();
  await using world = await agentWorld("bwrap", shared);
  const id = crypto.randomUUID();
  await world.run({ session: { id, resume: false }, keeping: keeping(1) });
  const asked = world.main().length;
  await shared.store.dropConversations(SESSION);

  const { report } = await world.run({ session: { id, resume: true }, keeping: keeping(2) });

  expect(report).toMatchObject({ end: { kind: "session_lost" }, began: false, turns: 0 });
  expect(world.main()).toHaveLength(asked);
});

test("a store that does not answer before a run makes it wait, and keeps the session", async () => {
  await using shared = await transcriptWorld();
  const store: TranscriptStore = {
    ...shared.store,
    lines: () => Promise.reject(new Error("connection refused")),
  };
  await using world = await agentWorld("bwrap", { ...shared, store });

  const { report } = await world.run({
    session: { id: crypto.randomUUID(), resume: true },
    keeping: keeping(1),
  });

  expect(report.end).toEqual({
    kind: "wait",
    reason: "transcripts",
    message: "connection refused",
    retryAt: null,
  });
  expect(world.main()).toEqual([]);
});

test("a run whose claim is older than the holder's does not begin", async () => {
  await using shared = await transcriptWorld();
  await using world = await agentWorld("bwrap", shared);
  await shared.store.take(SESSION, { owner: "host-2", fence: 5 });

  const { report } = await world.run({ keeping: keeping(4) });

  expect(report.end).toMatchObject({ kind: "wait", reason: "transcripts" });
  expect(world.main()).toEqual([]);
});

test("the transcript is laid out without following a link that an agent has left", async () => {
  await using shared = await transcriptWorld();
  await using world = await agentWorld("bwrap", shared);
  const id = crypto.randomUUID();
  const outside = join(world.dir, "outside");
  await mkdir(outside);
  await world.run({ session: { id, resume: false }, prompt: "AAA", keeping: keeping(1) });
  world.script(() => ({ text: "done" }));
  let asked = 0;
  world.script(() => {
    asked += 1;
    return asked === 1
      ? bash(
          "cd /home/agent; mv projects old; ln -s ../outside projects; mkdir -m 0 shut; ls -l projects",
        )
      : { text: "done" };
  });
  await world.run({ session: { id, resume: true }, prompt: "BBB", keeping: keeping(2) });
  world.script(() => ({ text: "done" }));

  const { report } = await world.run({
    session: { id, resume: true },
    prompt: "CCC",
    keeping: keeping(3),
  });

  expect(report.end.kind).toBe("completed");
  const last = world.main().at(-1);
  expect(last === undefined ? "" : JSON.stringify(plainMessages(last.body))).toMatch(
    /AAA.*BBB.*CCC/,
  );
  expect(await readdir(outside)).toEqual([]);
});
