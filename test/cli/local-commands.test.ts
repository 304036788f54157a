import { expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "yaml";
import packageFile from "../../package.json" with { type: "json" };
import { parseJson } from "../../src/json/parse.ts";
import {
  FIXTURE_SECRETS,
  fixtureDocument,
  fixtureWith,
  tempDirectory,
  writeFixture,
} from "../support/config-fixture.ts";
import { claudeHooks } from "./cli-world.ts";

const SECRET_VALUES = Object.values(FIXTURE_SECRETS);

test("`version` prints the version of the package", async () => {
  await using directory = await tempDirectory();

  const plain = await claudeHooks(directory, ["version"]);
  const json = await claudeHooks(directory, ["version", "--json"]);

  expect(plain).toEqual({ code: 0, out: `claude-hooks ${packageFile.version}\n`, errors: "" });
  expect(parseJson(json.out)).toEqual({ version: packageFile.version });
});

test("`config check` of a good file is exit 0 and writes nothing", async () => {
  await using directory = await tempDirectory();
  const file = await writeFixture(directory, fixtureWith({ "limits.grace_hours": 3 }));
  const before = (await readdir(directory.path, { recursive: true })).sort();

  const plain = await claudeHooks(directory, ["config", "check"]);
  const json = await claudeHooks(directory, ["config", "check", "--json"]);

  expect(plain.code).toBe(0);
  expect(plain.out).toContain("note: limits.grace_hours is not in force yet");
  expect(plain.out).toEndWith(`${file}: ok\n`);
  expect(parseJson(json.out)).toMatchObject({ ok: true, file, problems: [] });
  expect((await readdir(directory.path, { recursive: true })).sort()).toEqual(before);
});

/** Changes to the fixture, and a line of the message: key, value and remedy. */
const BAD: readonly (readonly [Readonly<Record<string, unknown>>, string])[] = [
  [{ "repositories.0.autonomy": undefined }, "repositories[0].autonomy is missing: use one of"],
  [{ "forge.kind": "github" }, 'forge.kind is "github": GitHub is not built yet'],
  [{ "limits.run": 4 }, "limits.run is a number value: no such key; did you mean runs?"],
  [
    { "agents.boss.token": "0123456789abcdef" },
    "agents.boss.token is a text of 16 bytes: a secret",
  ],
];

for (const [changes, message] of BAD) {
  test(`every command that needs the configuration says: ${message}`, async () => {
    await using directory = await tempDirectory();
    await writeFixture(directory, fixtureWith(changes));

    const check = await claudeHooks(directory, ["config", "check"]);
    const json = await claudeHooks(directory, ["config", "check", "--json"]);
    const show = await claudeHooks(directory, ["config", "show"]);

    expect(check).toMatchObject({ code: 2, out: "" });
    expect(check.errors).toMatch(/claude-hooks\.yaml:\d+: /);
    expect(check.errors).toContain(message);
    expect(show).toMatchObject({ code: 2, out: "" });
    expect(show.errors).toContain(message);
    const result = parseJson(json.out) as { ok: boolean; problems: { key: string }[] };
    expect(json.code).toBe(2);
    expect(result.ok).toBeFalse();
    expect(message).toStartWith(`${result.problems[0]?.key} is `);
    for (const text of [check.errors, show.errors, json.out]) {
      expect(text).not.toContain("0123456789abcdef");
    }
  });
}

test("commands that ask the service need the form of the configuration only", async () => {
  await using directory = await tempDirectory();
  await directory.write("claude-hooks.yaml", JSON.stringify(fixtureDocument()));
  const waits = await claudeHooks(directory, ["status"]);
  await directory.write("claude-hooks.yaml", JSON.stringify(fixtureWith({ forge: undefined })));

  const bad = await claudeHooks(directory, ["status"]);

  expect(waits.code).toBe(1);
  expect(waits.errors).toContain("no service is running");
  expect(bad.code).toBe(2);
  expect(bad.errors).toContain("forge is missing");
});

test("no configuration at all is exit 2 and says where one was looked for", async () => {
  await using directory = await tempDirectory();

  const end = await claudeHooks(directory, ["config", "check"]);

  expect(end.code).toBe(2);
  expect(end.errors).toContain(join(directory.path, "claude-hooks.yaml"));
});

test("--config is taken before and after the command, and wins over the variable", async () => {
  await using directory = await tempDirectory();
  await writeFixture(directory);
  const file = await directory.write("other.yaml", JSON.stringify(fixtureDocument()));
  const env = { CLAUDE_HOOKS_CONFIG: "none.yaml" };

  const after = await claudeHooks(directory, ["config", "check", "--config", file], env);
  const before = await claudeHooks(directory, ["--config", file, "config", "check"], env);
  const variable = await claudeHooks(directory, ["config", "check"], env);

  expect(after.out).toBe(`${file}: ok\n`);
  expect(before.out).toBe(`${file}: ok\n`);
  expect(variable.code).toBe(2);
  expect(variable.errors).toContain("CLAUDE_HOOKS_CONFIG");
});

test("`config show` prints the configuration in force, secrets only as references", async () => {
  await using directory = await tempDirectory();
  const file = await writeFixture(directory);
  const env = { CLAUDE_HOOKS_STATE_DIR: "/elsewhere" };

  const yaml = await claudeHooks(directory, ["config", "show"], env);
  const json = await claudeHooks(directory, ["config", "show", "--json"], env);

  expect(yaml.code).toBe(0);
  expect(yaml.out).toStartWith(`# ${file}\n`);
  expect(parse(yaml.out)).toEqual(parseJson(json.out));
  expect(parseJson(json.out)).toMatchObject({
    state_dir: "/elsewhere",
    sweep_seconds: 60,
    model: { api_key: { file: "secrets/anthropic" } },
    repositories: [{ name: "acme/widgets", approvals: { any: 1, people: 1 } }],
  });
  for (const value of SECRET_VALUES) {
    expect(yaml.out + json.out).not.toContain(value);
  }
});

test("what `config show` prints is a configuration again", async () => {
  await using directory = await tempDirectory();
  await writeFixture(directory);
  const shown = await claudeHooks(directory, ["config", "show"]);
  await directory.write("shown.yaml", shown.out);

  const again = await claudeHooks(directory, ["config", "show", "--config", "shown.yaml"]);

  expect(again.errors).toBe("");
  expect(parse(again.out)).toEqual(parse(shown.out));
});

test("`config schema` prints a JSON schema and needs no configuration", async () => {
  await using directory = await tempDirectory();

  const plain = await claudeHooks(directory, ["config", "schema"]);
  const json = await claudeHooks(directory, ["config", "schema", "--json"]);

  expect(plain.code).toBe(0);
  expect(json.out).toBe(plain.out);
  expect(parseJson(plain.out)).toMatchObject({
    $schema: "https://json-schema.org/draft/2020-12/schema",
    required: ["forge", "webhook", "model", "agents", "repositories"],
    additionalProperties: false,
  });
});
