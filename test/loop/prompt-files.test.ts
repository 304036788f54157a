import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { playDemo } from "../../demo/scenario/demo.ts";
import type { StoryEvent } from "../../demo/scenario/story.ts";
import { requiredPromptFiles } from "../../src/run/prompt-files.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

let dir = "";

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "ch-prompts-"));
});

afterEach(async () => {
  await rm(dir, { recursive: true, force: true });
});

/** The demo with one prompt file replaced by `text`. */
async function demoWith(file: string, text: string) {
  const skills = join(dir, "skills");
  await cp(join(ROOT, "skills"), skills, { recursive: true });
  await writeFile(join(skills, file), text);
  const events: StoryEvent[] = [];
  const demo = join(dir, "demo");
  await mkdir(demo);
  const result = await playDemo({
    dir: demo,
    liveKey: null,
    onEvent: (event) => events.push(event),
    onNote: () => undefined,
    more: `skills_dir: ${JSON.stringify(skills)}`,
  });
  const requests = result.world?.model?.requests ?? [];
  await result.stop();
  return { result, events, requests };
}

describe("the demo needs every prompt file", () => {
  test.each(requiredPromptFiles())(
    "an empty %s keeps the service from starting",
    async (file) => {
      const { result } = await demoWith(file, " \n");
      expect(result.pull).toBeNull();
      expect(result.problem).toContain("serve ended with 2");
      expect(result.problem).toContain(join(dir, "skills", file));
      expect(result.problem).toContain("is empty");
    },
    20_000,
  );

  test.each([
    ["system.md", "implement", "rules of this house"],
    ["implement.md", "implement", "how to hand the work over"],
    ["review.md", "review", "how to give a verdict"],
    ["address-review-delta.md", "address-review", "how to hand the work over"],
    ["review-delta.md", "review", "how to give a verdict"],
    ["merge.md", "merge", "how to ask for the merge"],
  ])(
    "a %s that says nothing makes %s fail, and the model says what is missing",
    async (file, skill, words) => {
      const { result, events, requests } = await demoWith(file, "The weather is fine today.\n");
      expect(result.pull).toBeNull();
      expect(result.problem).toContain(`${skill}: failed (no_effect)`);
      const ended = events.filter(({ kind }) => kind === "run_ended").at(-1);
      expect(ended).toMatchObject({ skill, outcome: "failed" });
      const effects = events.filter(
        (event) => event.kind === "effect" && event["run"] === ended?.["run"],
      );
      expect(effects).toEqual([]);
      // What the model said is part of the conversation that the one resumption sends along.
      expect(requests.at(-1)?.raw).toContain(words);
      expect(requests.at(-1)?.raw).toContain("You ended your turn, but the work is not done");
    },
    60_000,
  );

  test.each(["system.md", "merge-delta.md"])(
    "a checkout without %s does not play it",
    async (file) => {
      for (const part of ["src", "demo", "skills", "package.json"]) {
        await cp(join(ROOT, part), join(dir, part), { recursive: true });
      }
      await symlink(join(ROOT, "node_modules"), join(dir, "node_modules"));
      await rm(join(dir, "skills", file));
      const child = Bun.spawn([process.execPath, join(dir, "demo/main.ts"), "--json"], {
        stdin: "ignore",
        stdout: "pipe",
        stderr: "pipe",
      });
      const [out, errors] = await Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
      ]);
      expect(await child.exited).toBe(1);
      expect(errors).toContain("serve ended with 2");
      expect(errors).toContain(`${join(dir, "skills", file)} is missing`);
      expect(JSON.parse(out.trimEnd().split("\n").at(-1) ?? "")).toMatchObject({
        kind: "done",
        ok: false,
      });
    },
    30_000,
  );
});
