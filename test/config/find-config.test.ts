import { expect, test } from "bun:test";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { type LoadOptions, loadConfig } from "../../src/config/load-config.ts";
import {
  FIXTURE_SECRETS,
  fixtureDocument,
  fixtureWith,
  tempDirectory,
  writeFixture,
} from "../support/config-fixture.ts";
import { accepted, messages, optionsFor } from "./load-fixture.ts";

test("the first place that has a configuration counts", async () => {
  await using directory = await tempDirectory();
  const file = await writeFixture(directory);
  const other = await directory.write("other.yaml", JSON.stringify(fixtureDocument()));
  const named = await directory.write("named.yaml", JSON.stringify(fixtureDocument()));
  const xdg = await directory.write(
    "xdg/claude-hooks/config.yaml",
    JSON.stringify(fixtureDocument()).replaceAll("secrets/", "../../secrets/"),
  );
  const home = await directory.write(
    "home/.config/claude-hooks/config.yaml",
    JSON.stringify(fixtureDocument()).replaceAll("secrets/", "../../../secrets/"),
  );
  await mkdir(join(directory.path, "empty"));
  const fileOf = async (more: Partial<LoadOptions>) =>
    accepted(await loadConfig(optionsFor(directory, more))).config.file;
  const env = { CLAUDE_HOOKS_CONFIG: other, XDG_CONFIG_HOME: join(directory.path, "xdg") };
  const empty = join(directory.path, "empty");

  expect(await fileOf({ explicitPath: "named.yaml", env })).toBe(named);
  expect(await fileOf({ env })).toBe(other);
  expect(await fileOf({ env: { ...env, CLAUDE_HOOKS_CONFIG: "" } })).toBe(file);
  expect(await fileOf({ env: { ...env, CLAUDE_HOOKS_CONFIG: "" }, cwd: empty })).toBe(xdg);
  expect(await fileOf({ cwd: empty })).toBe(home);
});

test("a file that is named must exist, whatever stands elsewhere", async () => {
  await using directory = await tempDirectory();
  await writeFixture(directory);

  const explicit = await loadConfig(optionsFor(directory, { explicitPath: "none.yaml" }));
  const byVariable = await loadConfig(
    optionsFor(directory, { env: { CLAUDE_HOOKS_CONFIG: "/none.yaml" } }),
  );

  expect(messages(explicit)).toEqual([
    `file is not found (looked at ${join(directory.path, "none.yaml")}): mend the path that --config names`,
  ]);
  expect(messages(byVariable)[0]).toContain("mend the path that CLAUDE_HOOKS_CONFIG names");
});

test("without any file the places that were searched are named", async () => {
  await using directory = await tempDirectory();

  const [message] = messages(await loadConfig(optionsFor(directory)));

  expect(message).toContain(join(directory.path, "claude-hooks.yaml"));
  expect(message).toContain(join(directory.path, "home/.config/claude-hooks/config.yaml"));
  expect(message).toContain("/etc/claude-hooks/config.yaml");
});

test("relative paths count from the file, ~ is the home", async () => {
  await using directory = await tempDirectory();
  const document = fixtureWith({
    state_dir: "../kept",
    skills_dir: "~/prompts",
    "repositories.0.read": ["tools", "/opt/tools", "~/bin"],
  });
  const file = await directory.write("etc/ch.yaml", JSON.stringify(document));
  for (const [name, value] of Object.entries(FIXTURE_SECRETS)) {
    await directory.write(`etc/secrets/${name}`, value);
  }
  await mkdir(join(directory.path, "home/prompts"), { recursive: true });

  const { config } = accepted(
    await loadConfig(optionsFor(directory, { explicitPath: file, cwd: "/" })),
  );

  expect(config.stateDir).toBe(join(directory.path, "kept"));
  expect(config.skillsDir).toBe(join(directory.path, "home/prompts"));
  expect(config.repositories[0]?.read).toEqual([
    join(directory.path, "etc/tools"),
    "/opt/tools",
    join(directory.path, "home/bin"),
  ]);
  expect(config.admin.token).toEqual({
    kind: "missing",
    path: join(directory.path, "etc/secrets/admin"),
  });
});

test("CLAUDE_HOOKS_STATE_DIR wins over state_dir, and there is a default", async () => {
  await using directory = await tempDirectory();
  await writeFixture(directory, fixtureWith({ state_dir: undefined }));
  const stateDir = async (env: LoadOptions["env"]) =>
    accepted(await loadConfig(optionsFor(directory, { env }))).config.stateDir;

  expect(await stateDir({})).toBe(join(directory.path, "home/.local/state/claude-hooks"));
  expect(await stateDir({ CLAUDE_HOOKS_STATE_DIR: "here" })).toBe(join(directory.path, "here"));

  await writeFixture(directory);
  expect(await stateDir({})).toBe(join(directory.path, "state"));
  expect(await stateDir({ CLAUDE_HOOKS_STATE_DIR: "/there" })).toBe("/there");
});
