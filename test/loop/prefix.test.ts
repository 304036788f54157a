import { expect, test } from "bun:test";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { prefixNotices, toolsDigest } from "../../src/main/prefixes.ts";
import type { Prefix } from "../../src/ports/store/prefixes.ts";
import { readPrefixes } from "../../src/store/read-prefixes.ts";
import { forgeTool, steps } from "../support/model-steps.ts";
import { serviceWorld } from "../support/service-world.ts";

const OPUS = "claude-opus-5-5";
const SONNET = "claude-sonnet-5-5";

test("a start and config check tell of what breaks the unchanged beginning of resumed sessions, once an agent", async () => {
  await using world = await serviceWorld({ repository: { review: "requested" } });
  world.script(steps(forgeTool("ask_human", { question: "Which colour?" })));
  await world.settled(await world.issue());
  const { configPath } = world.service();
  const plain = await readFile(configPath, "utf8");
  const check = async () => (await world.cli("config", "check")).out;
  const databases = async () =>
    (await readdir(world.stateDir)).filter((name) => name.startsWith("claude-hooks.db")).sort();

  expect(await check()).not.toContain("session");
  await writeFile(configPath, plain.replaceAll(OPUS, SONNET));
  const note = `note: agents.boss.model: the model (was ${OPUS}, is ${SONNET}) of boss changed: 1 session pays once for its whole conversation at the next run\n`;
  expect(await check()).toContain(note);
  const { json } = { json: JSON.parse((await world.cli("config", "check", "--json")).out) };
  expect(json).toMatchObject({ ok: true, notices: [{ key: "agents.boss.model" }] });

  expect(await world.service().stop()).toBe(0);
  const before = await databases();
  expect(before).toEqual(["claude-hooks.db"]);
  expect(await check()).toContain(note);
  expect(await databases()).toEqual(before);

  const mark = world.lines.length;
  Object.assign(world.world.serviceOptions, { skills: { boss: ["implement"] } });
  await world.startAgain();
  await world.line(
    {
      msg: "agents.boss.skills: the list of tools of boss changed: 1 session pays once for its whole conversation at the next run",
    },
    mark,
  );
}, 60_000);

test("a state directory without a database stays without one", async () => {
  const path = join(import.meta.dir, "no-such-database.db");
  expect(readPrefixes(path)).toBeNull();
  expect(await Bun.file(path).exists()).toBe(false);
});

test("each agent with sessions that pay is one line that says what changed and how many pay", () => {
  const prefix = (key: string, change: Partial<Prefix> = {}): Prefix => ({
    key,
    session: key,
    agent: "boss",
    model: OPUS,
    tools: toolsDigest(["implement"]),
    ...change,
  });
  const config = {
    agents: [
      { name: "boss", model: OPUS, skills: ["implement"] },
      { name: "reviewer", model: OPUS, skills: ["review"] },
    ],
  } as unknown as Parameters<typeof prefixNotices>[0];
  expect(prefixNotices(config, [prefix("a"), prefix("b")])).toEqual([]);
  const both = [
    prefix("a", { model: SONNET }),
    prefix("b", { tools: toolsDigest(["review"]) }),
    prefix("c"),
    prefix("d", { agent: "gone", model: SONNET }),
  ];
  expect(prefixNotices(config, both).map(({ message }) => message)).toEqual([
    `agents.boss.model: the model (was ${SONNET}, is ${OPUS}) and list of tools of boss changed: 2 sessions pay once for their whole conversations at the next run`,
  ]);
  // What is not built has no tools yet, and the order in the file does not matter.
  expect(toolsDigest(["review", "implement", "respond"])).toBe(
    toolsDigest(["implement", "review"]),
  );
});
