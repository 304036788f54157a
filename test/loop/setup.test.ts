import { describe, expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { use } from "../../demo/model/conversation.ts";
import { REPO } from "../../demo/scenario/widgets.ts";
import { forgeTool, IMPLEMENTING, steps } from "../support/model-steps.ts";
import { commandsOf, treeOf } from "../support/process-tree.ts";
import { type ServiceWorld, serviceWorld } from "../support/service-world.ts";

const ASKING = steps(forgeTool("ask_human", { question: "Which one?" }));

/** `run` is the set-up command; what it writes into `.setup/` stays in the clone, because git ignores it. */
async function worldWithSetup(run: string): Promise<ServiceWorld> {
  const world = await serviceWorld({ repository: { review: "requested", setup: run } });
  await world.push({ ".gitignore": ".setup/\n", "bun.lock": "{}\n" });
  world.script(ASKING);
  return world;
}

async function left(world: ServiceWorld, name: string): Promise<string> {
  return await Bun.file(join(world.stateDir, "work", REPO, "1/boss/.setup", name)).text();
}

async function commandsBelow(pid: number): Promise<readonly string[]> {
  return await commandsOf(await treeOf(pid));
}

/** Another run of the same session; resolves when it has asked again. */
async function again(world: ServiceWorld, body: string): Promise<void> {
  const mark = world.lines.length;
  await world.comment("alice", 1, body);
  await world.line({ msg: "run ended", outcome: "asked" }, mark);
  await world.settled(1);
}

describe("the repository's set-up command", () => {
  test("runs in the jail after cloning and when a lockfile changed, not otherwise", async () => {
    await using world = await worldWithSetup(
      [
        "mkdir -p .setup",
        "echo ran >> .setup/runs",
        "pwd > .setup/place",
        "env | cut -d= -f1 | sort > .setup/env",
        "find / \\( -path /usr -o -path /proc \\) -prune -o \\( -name claude-hooks.db -o -name sessions.json -o -name secrets \\) -print > .setup/seen 2>/dev/null || true",
      ].join("; "),
    );
    await world.issue();
    await world.line({ msg: "run ended", outcome: "asked" });
    await world.settled(1);
    expect(await left(world, "runs")).toBe("ran\n");
    expect(await left(world, "place")).toBe("/clone\n");
    expect((await left(world, "env")).split("\n").filter(Boolean)).toEqual([
      "CLAUDE_HOOKS_JAIL",
      "HOME",
      "PATH",
      "PWD",
      "TMPDIR",
    ]);
    expect(await left(world, "seen")).toBe("");

    await again(world, "The first one.");
    expect(await left(world, "runs")).toBe("ran\n");
    await world.push({ "bun.lock": '{ "packages": {} }\n' });
    await again(world, "No, the second one.");
    expect(await left(world, "runs")).toBe("ran\nran\n");
    await again(world, "Sorry, the third.");
    expect(await left(world, "runs")).toBe("ran\nran\n");
  }, 40_000);

  test("may say much, and takes its time without counting as a stalled run", async () => {
    await using world = await serviceWorld({
      repository: {
        review: "requested",
        setup: "head -c 3000000 /dev/zero | tr '\\0' x; sleep 5.2; echo; echo ready",
      },
      more: "limits: { stall_minutes: 0.08 }",
    });
    world.script(ASKING);
    await world.issue();
    await world.line({ msg: "run ended", outcome: "asked" });
    expect(world.matching({ msg: "setup failed" })).toEqual([]);
    expect(world.matching({ msg: "stopping run" })).toEqual([]);
    expect(world.requests()[0]?.raw).not.toContain("The set-up command");
  }, 30_000);

  test("ends within 5 s when the issue is closed, and nothing is left of it", async () => {
    await using world = await serviceWorld({
      repository: { review: "requested", setup: "sleep 281" },
    });
    await world.issue();
    const running = async (): Promise<boolean> =>
      (await commandsBelow(world.service().pid)).includes("sleep 281");
    await world.until("the set-up command runs", running);
    await world.api("alice", "PATCH", `/repos/${REPO}/issues/1`, { state: "closed" });
    await world.until("the set-up command is gone", async () => !(await running()), 5000);
    await world.line({ msg: "cleaned up" });
    expect(await world.runs()).toEqual([]);
    expect(await readdir(join(world.stateDir, "work", REPO))).toEqual([]);
  }, 30_000);

  test("that fails is told in the prompt, with the end of its words, and tried again", async () => {
    await using world = await worldWithSetup(
      "mkdir -p .setup; echo ran >> .setup/runs; echo registry out of reach >&2; exit 3",
    );
    await world.issue();
    await world.line({ msg: "run ended", outcome: "asked" });
    await world.line({ msg: "setup failed" });
    await world.settled(1);
    const first = world.requests()[0]?.raw ?? "";
    expect(first).toContain("The set-up command");
    expect(first).toContain("registry out of reach");
    await again(world, "The first one.");
    expect(await left(world, "runs")).toBe("ran\nran\n");
  }, 40_000);
});

test("no set-up runs for a reviewer, and it has no shell: it reads a head that others wrote", async () => {
  await using world = await serviceWorld({
    repository: { setup: "mkdir -p .setup && echo ran >> .setup/runs" },
  });
  await world.push({ ".gitignore": ".setup/\n" });
  const reviewing = steps(
    use("Bash", { command: "mkdir -p .setup && echo shell >> .setup/runs" }),
    use("Write", { file_path: "/clone/.setup/runs", content: "written" }),
    forgeTool("submit_review", { verdict: "request_changes", body: "No." }),
  );
  const implementing = steps(...IMPLEMENTING);
  world.script(async (talk) => {
    if (talk.skill === "review") return await reviewing(talk);
    return talk.skill === "implement" ? await implementing(talk) : { text: "Done." };
  });
  await world.issue();
  await world.line({ msg: "run ended", agent: "reviewer", outcome: "succeeded" });

  const clones = join(world.stateDir, "work", REPO, "1");
  expect(await readdir(join(clones, "reviewer"))).toContain("note.md");
  expect(await readdir(join(clones, "reviewer"))).not.toContain(".setup");
  const asked = world.requests().find(({ raw }) => raw.includes("as reviewer, run"));
  const { tools } = JSON.parse(asked?.raw ?? "{}") as { tools: { name: string }[] };
  const names = tools.map(({ name }) => name);
  expect(names).toContain("Read");
  for (const name of ["Bash", "Write", "Edit"]) expect(names).not.toContain(name);
  // = For the one who writes it ran.
  expect(await left(world, "runs")).toBe("ran\n");
}, 40_000);

test("paths in `read` are there for the agent, read-only, and other paths of the host are not", async () => {
  await using world = await serviceWorld({ repository: { review: "requested" } });
  const probe = `${join(world.dir, "tools")}`;
  const seen: string[] = [];
  world.script(({ calls }) => {
    const [first] = calls;
    if (first === undefined) {
      const command = `ls ${probe}; touch ${probe}/x 2>&1; ls ${world.dir}; ls ${world.stateDir} 2>&1; bun --version`;
      return { tools: [{ name: "Bash", input: { command } }] };
    }
    seen.push(first.result);
    return calls.length === 1
      ? forgeTool("ask_human", { question: "Which one?" })
      : { text: "Done." };
  });
  await world.issue();
  await world.line({ msg: "run ended", outcome: "asked" });
  const [said = ""] = seen;
  expect(said).toContain("Read-only file system");
  expect(said).toContain("No such file or directory");
  expect(said).not.toContain("secrets");
  expect(said.trim().split("\n").at(-1)).toBe(Bun.version);
}, 30_000);
