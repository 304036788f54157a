import { expect, test } from "bun:test";
import { lstat, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { clearRemains } from "../../src/agent/clear-remains.ts";

const ID = "0b0e7f0e-6a4f-4a53-8f0e-0123456789ab";

interface Case {
  readonly what: string;
  readonly put: (path: string, elsewhere: string) => Promise<unknown>;
  readonly stays: boolean;
}

test.each<Case>([
  { what: "an empty file goes", put: async (path) => await writeFile(path, ""), stays: false },
  { what: "a link goes", put: async (path, other) => await symlink(other, path), stays: false },
  {
    what: "a directory with its links goes",
    put: async (path, other) => {
      await mkdir(path);
      await symlink(other, join(path, "link"));
    },
    stays: false,
  },
  {
    what: "a file with content stays",
    put: async (path) => await writeFile(path, "{}"),
    stays: true,
  },
])("$what, and nothing behind a link is touched", async ({ put, stays }) => {
  const dir = await mkdtemp(join(tmpdir(), "ch-remains-"));
  try {
    const [home, elsewhere] = [join(dir, "home"), join(dir, "elsewhere")];
    await mkdir(join(home, "projects/-clone"), { recursive: true });
    await mkdir(elsewhere);
    await writeFile(join(elsewhere, `${ID}.jsonl`), "");
    await symlink(elsewhere, join(home, "projects/-link"));
    const path = join(home, "projects/-clone", `${ID}.jsonl`);
    await put(path, elsewhere);

    await clearRemains(home, ID);

    expect(
      await lstat(path).then(
        () => true,
        () => false,
      ),
    ).toBe(stays);
    expect((await lstat(join(elsewhere, `${ID}.jsonl`))).size).toBe(0);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});
