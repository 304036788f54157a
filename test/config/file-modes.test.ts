import { expect, test } from "bun:test";
import { chmod } from "node:fs/promises";
import { join } from "node:path";
import { loadConfig } from "../../src/config/load-config.ts";
import {
  FIXTURE_SECRETS,
  fixtureDocument,
  type TempDirectory,
  tempDirectory,
  writeFixture,
} from "../support/config-fixture.ts";

/** The fixture with one file at another mode; resolves with its path and what loading says. */
async function loaded(directory: TempDirectory, name: string, mode: number) {
  const file = await writeFixture(directory, fixtureDocument());
  const path = name === "" ? file : join(directory.path, name);
  await chmod(path, mode);
  const { path: cwd } = directory;
  const result = await loadConfig({ explicitPath: file, env: {}, cwd, home: cwd, uid: 1000 });
  const said = result.ok
    ? result.notices.map(({ message }) => message)
    : result.problems.map(({ key, value, remedy }) => `${key} is ${value}: ${remedy}`);
  return { path, ok: result.ok, said };
}

test.each([0o600, 0o400, 0o640, 0o440])(
  "a secret of mode %o is taken without a word",
  async (mode) => {
    await using directory = await tempDirectory();

    expect(await loaded(directory, "secrets/boss", mode)).toMatchObject({ ok: true, said: [] });
  },
);

test.each([0o604, 0o644, 0o444])(
  "a secret of mode %o is taken, and named at every start",
  async (mode) => {
    await using directory = await tempDirectory();

    const { ok, said } = await loaded(directory, "secrets/boss", mode);

    expect(ok).toBe(true);
    expect(said).toEqual([
      "agents.boss.token: everybody on this host can read the file; chmod 600",
    ]);
  },
);

test.each([0o602, 0o666, 0o777])(
  "a secret of mode %o is refused: anybody may have put it there",
  async (mode) => {
    await using directory = await tempDirectory();

    const { path, ok, said } = await loaded(directory, "secrets/boss", mode);

    expect(ok).toBe(false);
    expect(said).toEqual([
      `agents.boss.token is the file ${path}, which everybody on this host can write: chmod 600 it, and put a new secret into it`,
    ]);
    expect(said.join()).not.toContain(FIXTURE_SECRETS["boss"] ?? "");
  },
);

test("a configuration that everybody can write is refused: it names commands that are run", async () => {
  await using directory = await tempDirectory();

  const { ok, said } = await loaded(directory, "", 0o666);

  expect(ok).toBe(false);
  expect(said[0]).toContain("everybody on this host can write it");
});
