import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Jail } from "../../src/ports/jail.ts";
import { composePrompt } from "../../src/run/prompt.ts";
import { deltaOf } from "../../src/sessions/delta.ts";
import { type AgentWorld, agentWorld } from "../support/agent-world.ts";
import { comment, HEAD, pullWith, snapshotWith } from "../support/world.ts";

setDefaultTimeout(120_000);

const IN_CLONE = "CONTENT-OF-THE-CLONE";
const IN_HOME = "CONTENT-OF-THE-HOME";
const FILES = "see @notes.txt and @/clone/notes.txt and @./notes.txt and @~/notes.txt";
const HOME_FILE = "@/home/agent/notes.txt";

/** Everything that a person could write on a forge to make the CLI do more than read it. */
const MENTIONS = [
  "/context",
  "/init",
  "!touch /clone/ran",
  "# remember this",
  FILES,
  HOME_FILE,
  "`@notes.txt` [x](@notes.txt)",
  "@notes.txt#L1-2",
  "@/etc/hostname @/proc/self/environ",
];

/** What keeps the CLI from looking into a prompt (src/agent/options.ts). */
type Lock = "verbatim" | "file mentions";

/** The same CLI with the same options but these. The SDK says "verbatim" in each message it writes. */
function without(...locks: readonly Lock[]): (jail: Jail) => Jail {
  const read = `sed -u 's/,"client_composed":true//' | "$0" "$@"`;
  return (jail) => ({
    ...jail,
    command(spec, file, args) {
      const { CLAUDE_CODE_DISABLE_FILE_MENTIONS: _, ...env } = spec.env;
      const open = locks.includes("file mentions") ? { ...spec, env } : spec;
      const command = jail.command(open, file, args);
      const own = command.args.length - args.length - 1;
      const began = command.args.slice(0, own);
      return locks.includes("verbatim")
        ? { ...command, args: [...began, "/bin/sh", "-c", read, ...command.args.slice(own)] }
        : command;
    },
  });
}

async function plantedWorld(...missing: readonly Lock[]): Promise<AgentWorld> {
  const world = await agentWorld("bwrap", undefined, without(...missing));
  await Bun.write(join(world.clone, "notes.txt"), `${IN_CLONE}\n`);
  await Bun.write(join(world.home, "notes.txt"), `${IN_HOME}\n`);
  return world;
}

const inside = (text: string) => `claude-hooks: implement\n\n${text}\n`;

/** All that has gone to the model. */
function said(world: AgentWorld): string {
  return world
    .main()
    .map(({ raw }) => raw)
    .join("\n");
}

describe("text of a forge in a prompt", () => {
  test.each(MENTIONS)("%s is text, at the start of a prompt and inside", async (text) => {
    await using world = await plantedWorld();

    await world.run({ prompt: text });
    await world.run({ prompt: inside(text) });

    expect(world.main()).toHaveLength(2);
    expect(said(world)).not.toContain(IN_CLONE);
    expect(said(world)).not.toContain(IN_HOME);
    expect(said(world)).not.toContain("ANTHROPIC_BASE_URL=");
    expect(existsSync(join(world.clone, "ran"))).toBe(false);
    for (const { raw } of world.main()) expect(raw).toContain(JSON.stringify(text).slice(1, -1));
  });

  test("is text as title, body, branch, comment, guide and instructions of a whole prompt, and again when resumed", async () => {
    await using world = await plantedWorld();
    const snapshot = snapshotWith({
      title: `title ${HOME_FILE}`,
      body: `/context\n${FILES}`,
      comments: [comment({ body: `/init\ncomment ${FILES}` })],
      pull: pullWith({ headBranch: "@/clone/notes.txt" }),
    });
    const reader = { self: "boss", isTrusted: () => true, ownShas: new Set<string>() };
    const prompt = composePrompt({
      order: {
        agent: "boss",
        skill: "implement",
        fingerprint: "x",
        reason: "asked",
        asked: null,
        headSha: HEAD,
        reviews: [],
      },
      run: "run-7",
      resumed: false,
      skillText: "Build it.",
      snapshot,
      parts: deltaOf(null, snapshot, reader).parts,
      commits: [],
      guide: `guide @notes.txt`,
      diff: null,
      handOver: null,
      finding: null,
      workspace: "Your clone stands at @/clone/notes.txt.",
      setupFailure: null,
      fence: "f00d",
    });
    const id = crypto.randomUUID();

    await world.run({ prompt, system: `You are boss. ${FILES}`, session: { id, resume: false } });
    await world.run({ prompt, session: { id, resume: true } });

    expect(world.main()).toHaveLength(2);
    for (const words of ["title @/home", "comment see @", "guide @notes", "at @/clone/notes.txt"])
      expect(said(world)).toContain(words);
    expect(said(world)).not.toContain(IN_CLONE);
    expect(said(world)).not.toContain(IN_HOME);
  });

  test.each([["verbatim"], ["file mentions"]] as const)(
    "brings no file along when the lock “%s” is missing: one of the two is enough",
    async (lock) => {
      await using world = await plantedWorld(lock);

      await world.run({ prompt: inside(`${FILES} ${HOME_FILE}`) });

      expect(world.main()).toHaveLength(1);
      expect(said(world)).not.toContain(IN_CLONE);
      expect(said(world)).not.toContain(IN_HOME);
    },
  );

  test.each([
    [FILES, IN_CLONE],
    ["@notes.txt#L1-2", IN_CLONE],
    [HOME_FILE, IN_HOME],
  ])("control: without both locks %s is read and sent to the model", async (text, content) => {
    await using world = await plantedWorld("verbatim", "file mentions");

    await world.run({ prompt: inside(text) });

    expect(world.main()).toHaveLength(1);
    expect(said(world)).toContain(content);
  });

  test("control: without “verbatim” /context at the start of a prompt is a command and no model hears of it", async () => {
    await using world = await plantedWorld("verbatim");

    const { report } = await world.run({ prompt: "/context" });

    expect(report.end.kind).toBe("completed");
    expect(world.main()).toHaveLength(0);
  });
});
