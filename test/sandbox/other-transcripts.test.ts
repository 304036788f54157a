import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { plainMessages } from "../../demo/model/messages-request.ts";
import type { JailedCommand } from "../../src/ports/jail.ts";
import { type AgentWorld, agentWorld } from "../support/agent-world.ts";
import { type TranscriptWorld, transcriptWorld } from "../support/transcript-world.ts";

setDefaultTimeout(60_000);

const SECRET = "WHAT-WAS-SAID-ELSEWHERE";
const PLANTED = "PLANTED-BY-ANOTHER-RUN";
const ATTACKER = "2/boss";

/**
 * What a shell can try to reach one file of the host by its path or its name. The tests may run as
 * root, and a jail may fail: nothing may stand here that mounts or removes anything, or writes
 * anywhere but to `F`, which the test made itself, and below the run's own directory.
 */
function attack(file: string, database: string): string {
  return `
F=${file}; D=${database}; H=\${CLAUDE_CONFIG_DIR:?}
cat "$F" "$(dirname "$D")"/*
echo ${PLANTED} >> "$F"
ln -s "$F" "$H/link" && cat "$H/link"
cat "$H"/../../1/*/projects/*/*.jsonl "$H"/../*/projects/*/*.jsonl
find / -xdev -name "$(basename "$F")" -exec cat {} + 2>&1
for p in /proc/[0-9]*; do cat "$p/root$F"; (cd "$p/cwd" && cat "..$F" "../..$F" "../../..$F"); done
true`;
}

interface Outcome {
  readonly heard: string;
  readonly victim: string;
}

/** One session says the secret; a run of another one tries to read it and to write there. */
async function attacked(
  victim: string,
  shared: TranscriptWorld,
  isShown = false,
): Promise<Outcome> {
  let shown: string | null = null;
  await using world = await agentWorld("bwrap", shared, (jail) => ({
    ...jail,
    command: (spec, file, args) => showing(jail.command(spec, file, args), shown),
  }));
  const homeOf = (place: string) => join(world.dir, "claude/acme/widgets", place);
  for (const place of [victim, ATTACKER]) await mkdir(homeOf(place), { recursive: true });
  const keeping = (place: string) => ({
    session: `${place} acme/widgets`,
    holder: { owner: "host", fence: 1 },
  });
  const id = crypto.randomUUID();
  await world.run({
    home: homeOf(victim),
    session: { id, resume: false },
    prompt: `Keep ${SECRET} to yourself.`,
    keeping: keeping(victim),
  });
  const file = await transcriptOf(homeOf(victim));
  expect(await readFile(file, "utf8")).toContain(SECRET);

  if (isShown) shown = homeOf(victim);
  const heard = await heardBy(world, homeOf(ATTACKER), {
    command: attack(file, shared.path),
    keeping: keeping(ATTACKER),
  });
  const stored = await shared.all({ session: keeping(victim).session, id });
  expect(stored.join("\n")).toContain(SECRET);
  expect(stored.join("\n")).not.toContain(PLANTED);
  return { heard, victim: await readFile(file, "utf8") };
}

/** The same jail with one directory more, which the test has made. */
function showing(command: JailedCommand, directory: string | null): JailedCommand {
  if (directory === null) return command;
  const at = command.args.indexOf("--remount-ro");
  return { ...command, args: command.args.toSpliced(at, 0, "--bind", directory, directory) };
}

async function heardBy(
  world: AgentWorld,
  home: string,
  given: {
    readonly command: string;
    readonly keeping: {
      readonly session: string;
      readonly holder: { readonly owner: string; readonly fence: number };
    };
  },
): Promise<string> {
  const before = world.main().length;
  let asked = 0;
  world.script(() => {
    asked += 1;
    return asked === 1
      ? { tools: [{ name: "Bash", input: { command: given.command } }] }
      : { text: "done" };
  });
  await world.run({ home, keeping: given.keeping });
  const last = world.main().slice(before).at(-1);
  if (last === undefined) throw new Error("the attacker was never asked");
  return plainMessages(last.body)
    .flatMap(({ toolResults }) => toolResults.map(({ text }) => text))
    .join("\n");
}

async function transcriptOf(home: string): Promise<string> {
  const names = await readdir(join(home, "projects"), { recursive: true });
  const name = names.find((one) => one.endsWith(".jsonl"));
  if (name === undefined) throw new Error(`no transcript under ${home}`);
  return join(home, "projects", name);
}

describe("the transcript of another session", () => {
  test.each([
    ["of the same agent", "1/boss"],
    ["of another agent about the same item", "2/reviewer"],
  ])("%s can be neither read nor written by a run", async (_whose, victim) => {
    await using shared = await transcriptWorld();

    const { heard, victim: kept } = await attacked(victim, shared);

    expect(heard).toContain("No such file or directory");
    expect(heard).not.toContain(SECRET);
    expect(kept).not.toContain(PLANTED);
  });

  test("is read and written by the very same commands in a jail that shows its directory, too", async () => {
    await using shared = await transcriptWorld();

    const { heard, victim } = await attacked("1/boss", shared, true);

    expect(heard).toContain(SECRET);
    expect(victim).toContain(PLANTED);
  });
});
