import { expect, test } from "bun:test";
import { loadConfig } from "../../src/config/load-config.ts";
import { fixtureWith, tempDirectory, writeFixture } from "../support/config-fixture.ts";
import { BAD_CONFIGURATIONS } from "./bad-configurations.ts";
import { load, messages, optionsFor } from "./load-fixture.ts";

for (const bad of BAD_CONFIGURATIONS) {
  test(`${bad.name} is refused with key, value and remedy`, async () => {
    await using directory = await tempDirectory();
    await writeFixture(directory, fixtureWith(bad.changes));
    await directory.write("secrets/short", "1234567\n");
    await directory.write("secrets/empty", " \n");
    await directory.write("secrets/lines", "one\ntwo\n");

    const result = await loadConfig(optionsFor(directory));

    const found = messages(result).filter((message) => message.includes(`${bad.key} is `));
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(bad.value);
    expect(found[0]).toContain(bad.remedy);
    expect(found[0]).not.toContain("hunter22");
    expect(found[0]).not.toContain("0123456789abcdef");
  });
}

test("a directory that holds only the database's address is not shown to agents either", async () => {
  await using directory = await tempDirectory();
  const changes = {
    database: { file: "elsewhere/database" },
    "repositories.0.read": ["elsewhere"],
  };
  await writeFixture(directory, fixtureWith(changes));
  await directory.write("elsewhere/database", "postgres://u:hunter22@127.0.0.1/x\n");

  const result = await loadConfig(optionsFor(directory));

  expect(messages(result)).toEqual([
    expect.stringMatching(/repositories\[0\]\.read\[0\] is .*what they must not see/u),
  ]);
});

test.each([
  ["the key of the client", "sslkey=/srv/pg/client.key", "/srv/pg"],
  ["the certificate of the client", "sslcert=/srv/pg/client.pem", "/srv"],
  ["the authority", "sslrootcert=/srv/pg/../ca.pem", "/srv/ca.pem"],
  ["the directory of its socket", "host=/srv/socket", "/srv/socket"],
])("%s of the database's address is not shown to agents either", async (_, query, shown) => {
  await using directory = await tempDirectory();
  const changes = {
    database: { file: "secrets/database" },
    "repositories.0.read": ["/opt/tools", shown],
  };
  await writeFixture(directory, fixtureWith(changes));
  await directory.write("secrets/database", `postgres://u:hunter22@127.0.0.1/x?${query}\n`);

  const result = await loadConfig(optionsFor(directory));

  expect(messages(result)).toEqual([
    expect.stringMatching(/repositories\[0\]\.read\[1\] is .*what they must not see/u),
  ]);
});

test("the table of mistakes is long", () => {
  expect(BAD_CONFIGURATIONS.length).toBeGreaterThanOrEqual(40);
});

test("every problem is found at once, each with its line", async () => {
  await using directory = await tempDirectory();
  await writeFixture(directory);
  await directory.write(
    "claude-hooks.yaml",
    [
      "forge: { kind: github, url: http://127.0.0.1:3000 }",
      "webhook:",
      "  secrets: [{ file: secrets/webhook }, { file: secrets/nowhere }]",
      "model: {}",
      "agents:",
      "  boss:",
      "    login: boss",
      "    token: { file: secrets/boss }",
      "    skills: [implement]",
      "repositories:",
      "  - { name: acme/widgets, autonomy: merge }",
      "  - name: acme/widgets",
      "    autonomy: merge",
    ].join("\n"),
  );

  const result = await loadConfig(optionsFor(directory, { uid: 0 }));

  const places = result.ok ? [] : result.problems.map(({ key, line }) => `${key}:${line}`);
  expect(places.sort()).toEqual([
    "allow_root:1",
    "forge.kind:1",
    "model.api_key:4",
    "repositories[1].name:12",
    "webhook.secrets[1]:3",
  ]);
});

const UNREADABLE: readonly (readonly [string, string | Uint8Array, string, string])[] = [
  ["a key that stands twice", "forge: {}\nforge: {}\n", "line 2", "stands twice"],
  ["two documents", "a: 1\n---\nb: 1\n", "line 2", "one document"],
  ["a tag", "forge: !!js/function x\n", "line 1", "leave out the tag"],
  ["a list", "- 1\n", "a list", "write a mapping"],
  ["nothing", "", "empty", "write a mapping"],
  ["a word", "hello", "a string", "write a mapping"],
  ["an open bracket", "forge: [hunter22\n", "not valid YAML", "close every bracket"],
  ["bytes that are no text", new Uint8Array([0xff, 0xfe, 0x00]), "not UTF-8", "save the file"],
  ["a megabyte", `# ${"x".repeat(1_100_000)}\n`, "bytes long", "keep it below"],
  ["an alias that leads nowhere", "a: *b\n", "lead nowhere", "write the values out"],
  [
    "aliases that multiply",
    `a: &a [x,x,x,x,x,x,x,x,x]\n${[..."bcdefgh"]
      .map(
        (name, index) => `${name}: &${name} [${Array(6).fill(`*${"abcdefg"[index]}`).join(",")}]`,
      )
      .join("\n")}\n`,
    "aliases",
    "",
  ],
];

for (const [name, content, value, remedy] of UNREADABLE) {
  test(`a file that holds ${name} is refused`, async () => {
    await using directory = await tempDirectory();
    await directory.write("claude-hooks.yaml", content);

    const found = messages(await loadConfig(optionsFor(directory)));

    expect(found).toHaveLength(1);
    expect(found[0]).toContain("file is ");
    expect(found[0]).toContain(value);
    expect(found[0]).toContain(remedy);
    expect(found[0]).not.toContain("hunter22");
  });
}

test("keys of the language's own objects are only unknown keys", async () => {
  await using directory = await tempDirectory();
  await directory.write("claude-hooks.yaml", "__proto__: { polluted: 1 }\nconstructor: 1\n");

  const result = await loadConfig(optionsFor(directory));

  expect(result.ok).toBeFalse();
  expect(messages(result).join("\n")).toContain("constructor is");
  expect("polluted" in {}).toBeFalse();
});

test("running as root needs allow_root", async () => {
  const refused = await load(fixtureWith({ allow_root: false }), { uid: 0 });

  expect(messages(refused)).toHaveLength(1);
  expect(messages(refused)[0]).toContain("allow_root is false while running as root");
  expect((await load(fixtureWith({ allow_root: true }), { uid: 0 })).ok).toBeTrue();
  expect((await load(fixtureWith({ allow_root: false }), { uid: 1000 })).ok).toBeTrue();
  expect((await load(fixtureWith({ allow_root: false }), { uid: null })).ok).toBeTrue();
});
