import { expect, test } from "bun:test";
import { chmod, mkdir, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { checkStateDir } from "../../src/main/check-state-dir.ts";
import { tempDirectory } from "../support/config-fixture.ts";

const UID = process.getuid?.() ?? 0;

async function stateDir(root: string, mode: number): Promise<string> {
  const path = join(root, "state");
  await mkdir(path);
  await writeFile(join(path, "claude-hooks.db"), "");
  await chmod(path, mode);
  return path;
}

test.each([0o700, 0o750, 0o755, 0o705])(
  "a directory of mode %o is taken and closed to others",
  async (mode) => {
    await using directory = await tempDirectory();
    const path = await stateDir(directory.path, mode);

    expect(checkStateDir(path, UID)).toBeNull();

    expect((await stat(path)).mode & 0o777).toBe(0o700);
  },
);

test.each([0o770, 0o720, 0o702, 0o777, 0o1777])(
  "a directory of mode %o is refused with the remedy",
  async (mode) => {
    await using directory = await tempDirectory();
    const path = await stateDir(directory.path, mode);

    const problem = checkStateDir(path, UID);

    expect(problem).toContain(
      `state_dir ${path} may be written by others (mode ${mode.toString(8).padStart(4, "0")})`,
    );
    expect(problem).toContain("chmod 700");
    expect((await stat(path)).mode & 0o7777).toBe(mode);
  },
);

test("a file in its place is refused with the remedy", async () => {
  await using directory = await tempDirectory();
  const path = join(directory.path, "state");
  await writeFile(path, "");

  expect(checkStateDir(path, UID)).toBe(
    `state_dir ${path} is no directory: name one, or a place where one can be made`,
  );
});

test("a directory of somebody else is refused", async () => {
  await using directory = await tempDirectory();
  const path = await stateDir(directory.path, 0o700);

  expect(checkStateDir(path, UID + 1)).toContain(
    `${path} belongs to another user (uid ${UID}, the service is ${UID + 1})`,
  );
});

test("a directory below one that everybody may write is refused, also by way of a link, but not below a sticky one", async () => {
  await using directory = await tempDirectory();
  const open = join(directory.path, "open");
  await mkdir(open);
  const path = await stateDir(open, 0o700);
  await symlink(path, join(directory.path, "link"));

  await chmod(open, 0o777);
  expect(checkStateDir(path, UID)).toContain(`everybody may rename what lies in ${open}`);
  expect(checkStateDir(join(directory.path, "link"), UID)).toContain(open);
  await chmod(open, 0o1777);
  expect(checkStateDir(path, UID)).toBeNull();
});

test.skipIf(UID !== 0)(
  "a file of somebody else in it is refused, but for the pause file",
  async () => {
    const { chownSync } = await import("node:fs");
    await using directory = await tempDirectory();
    const path = await stateDir(directory.path, 0o700);
    await writeFile(join(path, "paused"), "");
    chownSync(join(path, "paused"), 65_534, 65_534);
    expect(checkStateDir(path, UID)).toBeNull();

    chownSync(join(path, "claude-hooks.db"), 65_534, 65_534);

    expect(checkStateDir(path, UID)).toContain(
      `${join(path, "claude-hooks.db")} belongs to another user (uid 65534)`,
    );
  },
);
