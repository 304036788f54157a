import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdir, mkdtemp, rename, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { hasTranscript } from "../../src/agent/has-transcript.ts";

const ID = "0b0e7f0e-6a4f-4a53-8f0e-0123456789ab";
const at = `projects/-clone/${ID}.jsonl`;
let home = "";
beforeEach(async () => {
  home = await mkdtemp("/tmp/ch-transcript-");
  await mkdir(join(home, "projects/-clone"), { recursive: true });
  await Bun.write(join(home, at), "{}\n");
});
afterEach(() => rm(home, { recursive: true, force: true }));

/** Puts a link in place of a part of the path; what it stood for is behind the link. */
const linked = async (part: string): Promise<void> => {
  await rename(join(home, part), join(home, "elsewhere"));
  await symlink(join(home, "elsewhere"), join(home, part));
};

describe("a transcript", () => {
  test("is there when it has content", async () => {
    expect(await hasTranscript(home, ID)).toBe(true);
  });

  test.each<[string, () => Promise<unknown>]>([
    ["the file is a link", () => linked(at)],
    ["its directory is a link", () => linked("projects/-clone")],
    ["all of them are behind a link", () => linked("projects")],
    [
      "there is a ring of links",
      async () => {
        await rm(join(home, "projects"), { recursive: true });
        await symlink("projects", join(home, "projects"));
      },
    ],
    ["it is a directory", () => rm(join(home, at)).then(() => mkdir(join(home, at)))],
    ["it is empty", () => Bun.write(join(home, at), "")],
    ["there is nothing", () => rm(join(home, "projects"), { recursive: true })],
    [
      "a file stands in the way",
      async () => {
        await rm(join(home, "projects"), { recursive: true });
        await Bun.write(join(home, "projects"), "x");
      },
    ],
  ])("is not there when %s", async (_what, change) => {
    await change();

    expect(await hasTranscript(home, ID)).toBe(false);
  });

  test("is not there when it cannot be looked at", async () => {
    // Too long a name is refused to root, too.
    expect(await hasTranscript(join(home, "x".repeat(300)), ID)).toBe(false);
  });
});
