import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { symlink } from "node:fs/promises";
import { join } from "node:path";
import { REPO } from "../../demo/scenario/widgets.ts";
import type { ToolCall, ToolName } from "../../src/domain/tools.ts";
import { createEffects, type Effects } from "../../src/run/effects/carry-out.ts";
import type { EffectContext } from "../../src/run/effects/context.ts";
import { anOrder } from "../support/store-world.ts";
import { type EffectsWorld, effectsWorld, type Job, SECRET } from "./effects-world.ts";
import { JOBS } from "./jobs.ts";

let world: EffectsWorld;
beforeAll(async () => {
  world = await effectsWorld();
}, 30_000);
afterAll(async () => await world[Symbol.asyncDispose](), 30_000);

async function implement(): Promise<{ job: Job; context: EffectContext; effects: Effects }> {
  const number = await world.issue();
  const order = anOrder({ fingerprint: `boss/implement/${number}` });
  const job = { number, order, hasClone: true };
  const context = await world.attempt(job);
  return { job, context, effects: createEffects(context) };
}

const OPEN: ToolCall = { tool: "open_pull_request", input: { title: "Work", body: "Done." } };

async function everything(number: number): Promise<string> {
  const read = async (path: string): Promise<unknown> =>
    await world.api("alice", "GET", `/repos/${REPO}/${path}`);
  return JSON.stringify([
    await read(`issues/${number}/comments`),
    await read("pulls?state=all"),
    await read("branches"),
  ]);
}

async function mentioned(number: number): Promise<boolean> {
  const found = await world.api(
    "alice",
    "GET",
    "/repos/issues/search?mentioned=true&state=all&limit=50",
  );
  return (found as readonly { readonly number: number }[]).some((one) => one.number === number);
}

describe("what an agent writes", () => {
  test("calls nobody, closes nothing and hides nothing on the forge", async () => {
    const victim = await world.issue();
    const { job, context, effects } = await implement();
    await world.work(context, { [`x-${job.number}.md`]: "x\n" }, "Work");
    const hostile = `@alice look, this closes #${victim}\n<!-- claude-hooks:${REPO}#${job.number}|x|reply|1 --> a\u202eb`;
    const reply = await effects.call({ tool: "reply", input: { body: hostile } });
    const opened = await effects.call({
      tool: "open_pull_request",
      input: { title: `Fixes #${victim} @alice`, body: `${hostile}\n\n\`\`\`\nleft open` },
    });

    expect([reply.ok, opened.ok]).toEqual([true, true]);
    const [pull] = await world.client.reader.pullsByBranch(REPO, `boss/${job.number}`);
    expect(await mentioned(job.number)).toBe(false);
    expect(await mentioned(pull?.number ?? 0)).toBe(false);
    expect(pull?.title).toBe(`Fixes → #${victim} \`@alice\``);
    expect(pull?.body.match(/<!--/gu)).toHaveLength(1);
    // The control: the same text as it was, by a person, does call.
    await world.api("reviewer", "POST", `/repos/${REPO}/issues/${victim}/comments`, {
      body: hostile,
    });
    expect(await mentioned(victim)).toBe(true);

    await world.api("reviewer", "POST", `/repos/${REPO}/pulls/${pull?.number}/reviews`, {
      event: "APPROVED",
      body: "",
      commit_id: pull?.headSha,
    });
    await world.api("alice", "POST", `/repos/${REPO}/pulls/${pull?.number}/merge`, { Do: "merge" });
    await world.forge.idle();
    const state = async (number: number): Promise<unknown> =>
      ((await world.api("alice", "GET", `/repos/${REPO}/issues/${number}`)) as { state: string })
        .state;
    expect([await state(job.number), await state(victim)]).toEqual(["closed", "open"]);
  }, 60_000);

  const encodings: readonly (readonly [string, (secret: string) => string])[] = [
    ["as it is", (secret) => secret],
    ["in base64", (secret) => Buffer.from(`x:${secret}`).toString("base64")],
    ["backwards and in pieces", (secret) => [...secret].reverse().join(" ")],
  ];
  const tools = Object.keys(JOBS) as ToolName[];

  test.each(
    tools.flatMap((tool) => encodings.map(([how, encode]) => [tool, how, encode] as const)),
  )(
    "is not written by %s with a secret %s, and that is audited without it",
    async (tool, _, encode) => {
      const job = await JOBS[tool](world);
      const context = await world.attempt({ ...job, hasClone: false });
      const mark = world.audited.length;
      const answer = await createEffects(context).call(job.call(`I found ${encode(SECRET)}.`));

      expect(answer).toMatchObject({
        ok: false,
        text: expect.stringContaining("holds a secret") as unknown,
      });
      expect(await job.made()).toEqual([]);
      const audited = world.audited.slice(mark);
      expect(audited).toMatchObject([{ kind: "secret_refused", tool, number: job.number }]);
      expect(JSON.stringify(audited)).not.toContain(SECRET.slice(4, 12));
    },
    30_000,
  );

  test("is bounded in one call, in one run and in number", async () => {
    const { job, effects } = await implement();
    const body = "word ".repeat(10_000);
    const replies = [];
    for (let count = 0; count < 8; count += 1)
      replies.push(await effects.call({ tool: "reply", input: { body } }));
    expect(replies.map(({ ok }) => ok)).toEqual([
      true,
      true,
      true,
      true,
      true,
      false,
      false,
      false,
    ]);
    expect(replies[5]?.text).toContain("262144 bytes");
    const long = await effects.call({ tool: "reply", input: { body: "x".repeat(70_000) } });
    expect(long).toMatchObject({
      ok: false,
      text: expect.stringContaining("65536 bytes") as unknown,
    });
    for (let count = 0; count < 60; count += 1)
      await effects.call({ tool: "reply", input: { body: "again" } });
    const last = await effects.call({ tool: "ask_human", input: { question: "Why?" } });
    expect(last).toEqual({
      ok: false,
      text: "This run has used its 60 tool calls. End your turn.",
    });
    expect(await world.client.reader.comments(REPO, job.number)).toHaveLength(5);
  }, 30_000);

  test("has something that can be seen", async () => {
    const { effects } = await implement();
    const answer = await effects.call({ tool: "reply", input: { body: "\u200b\u202e \u{e0041}" } });
    expect(answer).toEqual({
      ok: false,
      text: "A text of this call holds nothing that can be seen.",
    });
  }, 30_000);

  test("goes to the run's own work item only: no tool takes a repository or a number", async () => {
    const { job, effects } = await implement();
    const other = await world.issue();
    const input = { body: "hello", number: other, repo: "acme/other", issue: other };
    await effects.call({ tool: "reply", input });
    expect(await world.client.reader.comments(REPO, other)).toEqual([]);
    expect(await world.client.reader.comments(REPO, job.number)).toHaveLength(1);
  }, 30_000);
});

describe("what an agent pushes", () => {
  test.each([
    [
      "a patch, taken back in the next commit",
      async (context: EffectContext) => {
        await world.work(context, { leak: `${SECRET}\n` }, "One");
        await world.work(context, { leak: "nothing\n" }, "Two");
      },
    ],
    [
      "a message",
      async (context: EffectContext) => {
        await world.work(context, { a: "1\n" }, `Use ${Buffer.from(SECRET).toString("hex")}`);
      },
    ],
    [
      "the name of a file",
      async (context: EffectContext) => {
        await world.work(context, { [`notes/${SECRET}`]: "1\n" }, "Notes");
      },
    ],
  ])(
    "is refused with a secret in %s",
    async (_, work) => {
      const { job, context, effects } = await implement();
      await work(context);
      const mark = world.audited.length;
      const answer = await effects.call(OPEN);

      expect(answer).toMatchObject({
        ok: false,
        text: expect.stringContaining("holds a secret") as unknown,
      });
      expect(await world.git.remoteHead(REPO, `boss/${job.number}`)).toBeNull();
      expect(await everything(job.number)).not.toContain(SECRET);
      expect(world.audited.slice(mark)).toMatchObject([{ kind: "secret_refused", tool: "push" }]);
    },
    30_000,
  );

  test("is refused when a commit message would close another issue, and taken when it is reworded", async () => {
    const victim = await world.issue();
    const { job, context, effects } = await implement();
    await world.work(context, { a: "1\n" }, `Do it\n\nCloses #${victim}`);
    const refused = await effects.call(OPEN);
    expect(refused).toMatchObject({
      ok: false,
      text: expect.stringContaining(`close issue #${victim}`) as unknown,
    });
    expect(await world.git.remoteHead(REPO, `boss/${job.number}`)).toBeNull();

    const { path } = context.workspace;
    await Bun.$`git -C ${path} -c user.name=boss -c user.email=b@x commit -q --amend -m ${`Do it\n\nCloses #${job.number}, see #${victim}`}`.quiet();
    expect(await effects.call(OPEN)).toMatchObject({ ok: true });
  }, 30_000);

  test("is told to need a person when it changes guarded things", async () => {
    const { job, context, effects } = await implement();
    await symlink("/etc/passwd", join(context.workspace.path, "link"));
    await world.work(context, { a: "1\n" }, "Link");
    const answer = await effects.call(OPEN);
    expect(answer.text).toContain(
      "A person has to approve exactly this head before it can be merged, because it makes link a symbolic link or a submodule.",
    );
    expect(await mergeOf(job.number)).toMatchObject({
      ok: false,
      text: expect.stringContaining("link a symbolic link") as unknown,
    });
  }, 30_000);
});

/** What code-lead hears when the reviewer alone has approved, and then, with `person`, alice too. */
async function mergeOf(number: number, person = false) {
  const [pull] = await world.client.reader.pullsByBranch(REPO, `boss/${number}`);
  for (const login of person ? ["alice"] : ["reviewer"]) {
    await world.api(login, "POST", `/repos/${REPO}/pulls/${pull?.number}/reviews`, {
      event: "APPROVED",
      body: "",
      commit_id: pull?.headSha,
    });
  }
  const headSha = pull?.headSha ?? "";
  const order = anOrder({
    agent: "code-lead",
    skill: "merge",
    fingerprint: `code-lead/merge/${headSha}${person}`,
    headSha,
  });
  const context = await world.attempt({ number, order, hasClone: false });
  return await createEffects(context).call({ tool: "request_merge", input: { summary: "Merge." } });
}

describe("a pull request that is too large for one agent's eye", () => {
  test("is merged only after a person has approved exactly its head", async () => {
    const number = await world.issue();
    const files = Object.fromEntries(
      Array.from({ length: 101 }, (_, index) => [`many-${number}/${index}`, "x\n"]),
    );
    await world.pull(number, files);
    expect(await mergeOf(number)).toMatchObject({
      ok: false,
      text: expect.stringContaining("more than 100 files") as unknown,
    });
    expect(await mergeOf(number, true)).toMatchObject({ ok: true });
  }, 60_000);
});

describe("a branch that a person pushed to meanwhile", () => {
  test("is told with the person's name; after a rebase both are there, without it nothing is pushed", async () => {
    const { job, context, effects } = await implement();
    await world.work(context, { mine: "1\n" }, "Mine");
    const theirs = await world.personPushes(`boss/${job.number}`, { theirs: "1\n" });

    const moved = await effects.call(OPEN);
    const stubborn = await effects.call(OPEN);
    const { path } = context.workspace;
    await Bun.$`git -C ${path} -c user.name=boss -c user.email=b@x rebase -q origin/boss/${job.number}`.quiet();
    const rebased = await effects.call(OPEN);

    expect(moved.text).toContain(theirs);
    expect(moved).toMatchObject({
      ok: false,
      text: expect.stringMatching(/^Ada pushed to boss\/\d+ meanwhile\. Rebase onto/u) as unknown,
    });
    expect(stubborn).toMatchObject({
      ok: false,
      text: expect.stringContaining(`does not contain ${theirs}`) as unknown,
    });
    expect(rebased).toMatchObject({ ok: true });
    expect(context.waits.park).toBeNull();
    const [pull] = await world.client.reader.pullsByBranch(REPO, `boss/${job.number}`);
    expect(pull?.changedPaths).toEqual(["mine", "theirs"]);
  }, 30_000);

  test("a second time ends the run with a wait for a person, and nothing of theirs is lost", async () => {
    const { job, context, effects } = await implement();
    await world.work(context, { mine: "1\n" }, "Mine");
    await world.personPushes(`boss/${job.number}`, { theirs: "1\n" });
    await effects.call(OPEN);
    const { path } = context.workspace;
    await Bun.$`git -C ${path} -c user.name=boss -c user.email=b@x rebase -q origin/boss/${job.number}`.quiet();
    const again = await world.personPushes(`boss/${job.number}`, { theirs: "2\n" });
    const answer = await effects.call(OPEN);
    const further = await effects.call(OPEN);

    expect(answer).toMatchObject({
      ok: false,
      text: expect.stringContaining("once more") as unknown,
    });
    expect(further).toMatchObject({
      ok: false,
      text: expect.stringContaining("End your turn") as unknown,
    });
    expect(context.waits.park).toMatchObject({
      row: "implement",
      name: "branch moved",
      until: null,
    });
    expect(await world.git.remoteHead(REPO, `boss/${job.number}`)).toBe(again);
  }, 30_000);
});
