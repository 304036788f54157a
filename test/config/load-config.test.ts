import { expect, test } from "bun:test";
import { chmod } from "node:fs/promises";
import { join } from "node:path";
import { inspect } from "node:util";
import { policyFor, repositoryFor, secretsOf } from "../../src/config/config.ts";
import { loadAdminAccess } from "../../src/config/load-admin-access.ts";
import { loadConfig } from "../../src/config/load-config.ts";
import {
  FIXTURE_SECRETS,
  fixtureDocument,
  fixtureWith,
  tempDirectory,
  writeFixture,
} from "../support/config-fixture.ts";
import { accepted, load, optionsFor } from "./load-fixture.ts";

test("a small configuration gets every default", async () => {
  const { config, notices } = accepted(await load(fixtureDocument()));

  expect(notices).toEqual([]);
  expect(config.forge).toEqual({
    kind: "forgejo",
    url: "http://127.0.0.1:3000",
    ca: null,
    requestsPerSecond: 10,
  });
  expect(config.webhook.listen).toEqual({ host: "127.0.0.1", port: 8080 });
  expect(config.webhook.path).toBe("/webhook");
  expect(config.admin.listen).toEqual({ host: "127.0.0.1", port: 8081 });
  expect(config.admin.hosts).toEqual([]);
  expect(config.model.baseUrl).toBe("https://api.anthropic.com");
  expect(config.model.credential.kind).toBe("api_key");
  expect(config.agents[0]).toMatchObject({
    name: "boss",
    login: "boss",
    skills: ["implement"],
    model: "claude-opus-5-5",
    git: { name: "boss", email: null },
  });
  expect(config.repositories[0]).toEqual({
    pattern: "acme/widgets",
    policy: {
      autonomy: "propose",
      base: "main",
      checks: "none",
      trigger: { assignee: true, label: null },
      mayTrigger: "write",
      review: "agents",
      approvals: { any: 1, people: 1 },
      mergeStyle: "merge",
      protectedPaths: [
        ".forgejo/**",
        ".gitea/**",
        ".github/**",
        ".claude/**",
        ".claude-hooks/**",
        "CLAUDE.md",
        "AGENTS.md",
        "CODEOWNERS",
        "**/CODEOWNERS",
        ".gitmodules",
        ".gitattributes",
        ".mcp.json",
        ".husky/**",
        ".githooks/**",
        "**/package-lock.json",
        "**/npm-shrinkwrap.json",
        "**/yarn.lock",
        "**/pnpm-lock.yaml",
        "**/bun.lock",
        "**/bun.lockb",
        "**/Cargo.lock",
        "**/go.sum",
        "**/poetry.lock",
        "**/uv.lock",
        "**/Pipfile.lock",
        "**/Gemfile.lock",
        "**/composer.lock",
      ],
    },
    setup: null,
    network: [],
    read: [],
  });
  expect(config.limits).toEqual({
    runs: 4,
    runsPerAgent: 2,
    runsPerItem: 20,
    reviewRounds: 3,
    failures: 3,
    checkRounds: 3,
    checksMinutes: 120,
    runMinutes: 60,
    stallMinutes: 10,
    graceHours: 24,
    usdPerRun: 5,
    usdPerItem: 20,
    usdPerDay: 100,
    tokensPerDay: null,
    resumes: 20,
    contextTokens: 120_000,
    sessionDays: 7,
    transcriptDays: 14,
    deliveryDays: 30,
    bodyBytes: 2_097_152,
    queue: 10_000,
    diskGb: 20,
    diskGbPerRepository: null,
  });
  expect(config.sweepSeconds).toBe(60);
  expect(config.sandbox).toBe("bwrap");
  expect(config.skillsDir).toBeNull();
});

test("a person's approval is needed unless approvals.people says otherwise", async () => {
  const people = async (approvals: unknown) => {
    const { config } = accepted(await load(fixtureWith({ "repositories.0.approvals": approvals })));
    return config.repositories[0]?.policy.approvals;
  };

  expect(await people({ any: 2 })).toEqual({ any: 2, people: 1 });
  expect(await people({})).toEqual({ any: 1, people: 1 });
  expect(await people({ people: 0 })).toEqual({ any: 1, people: 0 });
});

test("secrets are read from files and variables, and trimmed", async () => {
  const document = fixtureWith({
    "webhook.secrets": [{ file: "secrets/webhook" }, { env: "HOOK_SECRET" }],
    "model.api_key": undefined,
    "model.oauth_token": { env: "OAUTH" },
  });

  const { config } = accepted(
    await load(document, { env: { HOOK_SECRET: " from-the-variable ", OAUTH: "oauth-value" } }),
  );

  expect(config.webhook.secrets.map((one) => one.reveal())).toEqual([
    "webhook-secret-0001",
    "from-the-variable",
  ]);
  expect(config.model.credential.kind).toBe("oauth_token");
  expect(secretsOf(config).map((one) => one.reveal())).toEqual([
    "webhook-secret-0001",
    "from-the-variable",
    "oauth-value",
    "boss-token-0002-abcdef",
    "reviewer-token-0003",
  ]);
});

test("no secret can be printed with the configuration", async () => {
  const { config } = accepted(await load(fixtureDocument()));

  const printed = [JSON.stringify(config), inspect(config, { depth: 10, showHidden: true })];
  printed.push(Bun.inspect(config, { depth: 10 }), `${config.agents[0]?.token}`);

  for (const text of printed) {
    for (const value of Object.values(FIXTURE_SECRETS)) {
      expect(text).not.toContain(value);
    }
  }
  expect(String(config.agents[0]?.token)).toBe("[secret 22 bytes]");
});

test("an existing admin token is read, a missing one is left to the start", async () => {
  await using directory = await tempDirectory();
  await writeFixture(directory);
  const tokenOf = async () => accepted(await loadConfig(optionsFor(directory))).config.admin.token;

  const before = await tokenOf();
  const file = await directory.write("secrets/admin", "admin-token-0005-abcdef\n");
  const after = await tokenOf();

  expect(before).toEqual({ kind: "missing", path: file });
  expect(after.kind === "present" ? after.secret.reveal() : "").toBe("admin-token-0005-abcdef");
});

test("an admin token that can be guessed is refused without being told", async () => {
  await using directory = await tempDirectory();
  await writeFixture(directory);
  await directory.write("secrets/admin", "fifteen-bytes-1\n");

  const refused = await loadConfig(optionsFor(directory));

  const told = refused.ok ? "" : JSON.stringify(refused.problems);
  expect(told).toContain("a secret of 15 bytes");
  expect(told).not.toContain("fifteen-bytes-1");
});

test("the admin token alone can be read when no other secret is there", async () => {
  await using directory = await tempDirectory();
  await directory.write("claude-hooks.yaml", JSON.stringify(fixtureDocument()));
  const none = await loadAdminAccess(optionsFor(directory));
  await directory.write("secrets/admin", "admin-token-1\n");

  const access = await loadAdminAccess(optionsFor(directory));

  expect(none).toEqual({ ok: true, stateDir: join(directory.path, "state"), token: null });
  expect(access.ok ? access.token?.reveal() : "").toBe("admin-token-1");
});

test("the first repository entry that matches counts, in any case of letters", async () => {
  const { config, notices } = accepted(
    await load(
      fixtureWith({
        repositories: [
          { name: "Acme/Special", autonomy: "merge", setup: "make deps", network: ["NPM.example"] },
          { name: "acme/*", autonomy: "review" },
          { name: "acme/widgets", autonomy: "propose" },
        ],
      }),
    ),
  );

  expect(policyFor(config, "ACME/special")?.repository).toMatchObject({
    repo: "acme/special",
    autonomy: "merge",
  });
  expect(policyFor(config, "acme/widgets")?.repository.autonomy).toBe("review");
  expect(policyFor(config, "other/widgets")).toBeNull();
  expect(policyFor(config, "acme")).toBeNull();
  expect(repositoryFor(config, "acme/special")).toMatchObject({
    setup: "make deps",
    network: ["npm.example"],
  });
  expect(policyFor(config, "acme/widgets")?.agents).toEqual([
    { name: "boss", login: "boss", skills: ["implement"] },
    { name: "reviewer", login: "rev", skills: ["review"] },
  ]);
  expect(notices.map((notice) => notice.key)).toEqual(["repositories[2].name"]);
});

test("the address of a database is taken from the file itself, or with its password from a file of its own", async () => {
  const plain = "postgres://hooks@db.example.org:5433/hooks?sslmode=verify-full";
  const secret = "postgres://hooks:s%C3%A9cret-word@db.example.org/hooks";

  expect(accepted(await load(fixtureWith({}))).config.database).toBeNull();
  const inline = accepted(await load(fixtureWith({ database: plain }))).config;
  expect(inline.database?.reveal()).toBe(plain);
  expect(secretsOf(inline).map((one) => one.reveal())).not.toContain(plain);

  const { config } = accepted(
    await load(fixtureWith({ database: { env: "DATABASE" } }), { env: { DATABASE: secret } }),
  );
  expect(config.database?.reveal()).toBe(secret);
  const hidden = secretsOf(config).map((one) => one.reveal());
  expect(hidden).toEqual(expect.arrayContaining([secret, "s%C3%A9cret-word", "sécret-word"]));
});

test("a database of several hosts is refused without the sandbox", async () => {
  const changes = { database: "postgres://hooks@db/hooks", "sandbox.mode": "none" };

  const refused = await load(fixtureWith(changes));

  expect(refused.ok ? [] : refused.problems).toMatchObject([
    { key: "sandbox.mode", value: '"none"', remedy: expect.stringContaining("write bwrap") },
  ]);
});

test("what is known but not in force is named, but only if the file sets it", async () => {
  const { notices } = accepted(
    await load(
      fixtureWith({
        "limits.check_rounds": 5,
        "limits.tokens_per_day": null,
        "agents.boss.skills": ["implement", "fix-checks"],
      }),
    ),
  );

  expect(notices.map((notice) => notice.key)).toEqual([
    "limits.check_rounds",
    "agents.boss.skills",
  ]);
  expect(notices[0]?.message).toStartWith("limits.check_rounds is not in force yet");
  expect(notices[1]?.message).toContain("fix-checks is not built yet");
});

test("what is risky is said at every start", async () => {
  await using directory = await tempDirectory();
  await writeFixture(
    directory,
    fixtureWith({ "sandbox.mode": "none", "forge.url": "http://git.example.org/" }),
  );
  await chmod(join(directory.path, "secrets/boss"), 0o644);

  const { notices, config } = accepted(await loadConfig(optionsFor(directory)));

  expect(notices.map((notice) => notice.key)).toEqual([
    "sandbox.mode",
    "forge.url",
    "agents.boss.token",
  ]);
  expect(notices[0]?.message).toContain("without a sandbox");
  expect(config.forge.url).toBe("http://git.example.org");
});

test("a certificate is read with its path", async () => {
  await using directory = await tempDirectory();
  const pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  const file = await directory.write("ca.pem", pem);
  await writeFixture(directory, fixtureWith({ "forge.ca_file": "ca.pem" }));

  const { config } = accepted(await loadConfig(optionsFor(directory)));

  expect(config.forge.ca).toEqual({ file, pem });
});

test("reading again after a change gives the new configuration and leaves the old one alone", async () => {
  await using directory = await tempDirectory();
  await writeFixture(directory);
  const first = accepted(await loadConfig(optionsFor(directory))).config;

  await directory.write("secrets/boss", "rotated-token-0009\n");
  const second = accepted(await loadConfig(optionsFor(directory))).config;

  expect(first.agents[0]?.token.reveal()).toBe("boss-token-0002-abcdef");
  expect(second.agents[0]?.token.reveal()).toBe("rotated-token-0009");
});

test("anybody may give work only in so many words, which is said, and not beside a list", async () => {
  const changes = { "repositories.0.dangerously_allow_anyone": true };
  const { config, notices } = accepted(await load(fixtureWith(changes)));
  expect(config.repositories[0]?.policy.mayTrigger).toBe("anyone");
  expect(notices.map(({ key }) => key)).toEqual(["repositories[0].dangerously_allow_anyone"]);
  expect(notices[0]?.message).toContain("anybody on the forge gives work");

  const both = await load(fixtureWith({ ...changes, "repositories.0.may_trigger": ["alice"] }));
  expect(both.ok ? [] : both.problems).toMatchObject([{ key: "repositories[0].may_trigger" }]);
});
