import { expect, setDefaultTimeout, test } from "bun:test";
import { chmod, lstat, mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { REPO } from "../../demo/scenario/widgets.ts";
import { lockStateDir } from "../../src/store/lock-state-dir.ts";
import { openStore } from "../../src/store/open-store.ts";
import { aSession } from "../support/store-world.ts";
import { claudeHooks } from "./cli-world.ts";
import { type DoctorWorld, doctorWorld, EVENTS, type FoundHere, MODEL } from "./doctor-world.ts";

setDefaultTimeout(60_000);

const RULES = `/repos/${REPO}/branch_protections`;
const ADMIN = ["--admin-token-file", "secrets/alice"];

function statesOf(findings: readonly FoundHere[], state: FoundHere["state"]): string[] {
  return findings.filter((one) => one.state === state).map(({ id, found }) => `${id}: ${found}`);
}

/** Everything in a directory, with what would change by a write. */
async function traces(path: string): Promise<string[]> {
  const names = (await readdir(path, { recursive: true })).sort();
  return await Promise.all(
    names.map(async (name) => {
      const { mode, size, mtimeMs } = await lstat(join(path, name));
      return `${name} ${mode} ${size} ${mtimeMs}`;
    }),
  );
}

test("a set-up in which all is well is exit 0, asked of real walls, and nothing is written anywhere", async () => {
  await using world = await doctorWorld();
  world.set("sandbox.mode", "bwrap");
  const { code, findings } = await world.doctor();

  expect(statesOf(findings, "problem")).toEqual([]);
  expect(statesOf(findings, "warning")).toEqual([]);
  expect(statesOf(findings, "not_checked")).toEqual([]);
  expect(code).toBe(0);
  expect(findings.find(({ id }) => id === "host.sandbox")?.found).toContain("behind them");
  expect(world.writes).toEqual([]);
  expect(await readdir(world.directory.path)).not.toContain("state");
});

test("the hook of the README is the one that is asked for", async () => {
  const readme = await Bun.file(new URL("../../README.md", import.meta.url)).text();
  const events = /"events": (\[[^\]]+\])/u.exec(readme)?.[1] ?? "";

  expect(JSON.parse(events)).toEqual(EVENTS);
});

test("beside a service that holds the lock and the database nothing of the state directory changes", async () => {
  await using world = await doctorWorld();
  const { stateDir } = world;
  await mkdir(stateDir, { mode: 0o700 });
  const lock = lockStateDir({ stateDir, pid: process.pid, version: "0", startedAt: 0 });
  expect(lock.ok).toBeTrue();
  const store = await openStore({ path: join(stateDir, "claude-hooks.db"), now: Date.now });
  const session = aSession("boss", 7);
  await store.sessions.put(session);
  const begun = { session: session.sessionId, agent: "boss", model: "other", tools: "" };
  await store.prefixes.put({ key: session.key, ...begun });
  const before = await traces(stateDir);

  const { code, findings } = await world.doctor();

  expect(code).toBe(0);
  expect(statesOf(findings, "warning").join("\n")).toContain(
    `sessions.prefix: agents.boss.model: the model (was other, is ${MODEL}) and list of tools of boss changed`,
  );
  const after = await traces(stateDir);
  await store.close();
  const closed = await traces(stateDir);
  await world.doctor();
  // A reader beside a writer marks its place in the index that both share; nobody's data.
  const data = (lines: readonly string[]) => lines.filter((line) => !line.includes("-shm"));
  expect(data(after)).toEqual(data(before));
  expect(await traces(stateDir)).toEqual(closed);
  if (lock.ok) lock.release();
});

interface Row {
  readonly what: string;
  readonly spoil: (world: DoctorWorld) => Promise<unknown> | unknown;
  readonly id: string;
  readonly found: string;
  readonly remedy: string;
}

const tokenOf = async (world: DoctorWorld, name: string, value: string) =>
  await world.directory.write(`secrets/${name}`, value);
const permission = async (world: DoctorWorld, login: string, given: string) =>
  await world.api("alice", "PUT", `/repos/${REPO}/collaborators/${login}`, { permission: given });
const hookAnew = async (world: DoctorWorld, changes: Readonly<Record<string, unknown>>) => {
  await world.unhook();
  await world.hook(changes);
};

const PROBLEMS: readonly Row[] = [
  {
    what: "a token that the forge refuses",
    spoil: (world) => tokenOf(world, "boss", "0123456789".repeat(4)),
    id: "agent.token",
    found: "the forge refuses it",
    remedy: "make a token of boss and put it where agents.boss.token points to",
  },
  {
    what: "a token of another account",
    spoil: (world) => tokenOf(world, "boss", world.forge.createUser("mallory").token),
    id: "agent.account",
    found: "the token is mallory's, the configuration says boss",
    remedy: "make a token of boss",
  },
  {
    what: "two agents with one token",
    spoil: (world) => tokenOf(world, "reviewer", world.tokens.get("boss") ?? ""),
    id: "agent.own_account",
    found: "boss and reviewer have the same token",
    remedy: "give reviewer an account",
  },
  {
    what: "two agents with one account",
    spoil: (world) => world.forgeSays(/\/user$/u, (user) => ({ ...user, id: 7 })),
    id: "agent.own_account",
    found: "boss and code-lead are the same account",
    remedy: "give code-lead an account",
  },
  {
    what: "an agent that administrates the forge",
    spoil: (world) => {
      world.set("agents.boss.login", "root2");
      return tokenOf(world, "boss", world.forge.createUser("root2", { admin: true }).token);
    },
    id: "agent.site_administrator",
    found: "root2 administrates the whole forge",
    remedy: "take that right away",
  },
  {
    what: "an agent that administrates the repository",
    spoil: (world) => permission(world, "boss", "admin"),
    id: "repository.administrator",
    found: `boss administrates ${REPO}: no run of any agent begins there`,
    remedy: "give boss write access only",
  },
  {
    what: "an agent that may only read",
    spoil: (world) => permission(world, "reviewer", "read"),
    id: "repository.access",
    found: `reviewer may only read ${REPO}`,
    remedy: "give reviewer write access",
  },
  {
    what: "an agent that cannot be assigned",
    spoil: (world) => permission(world, "reviewer", "read"),
    id: "repository.assignable",
    found: `${REPO} does not list reviewer`,
    remedy: "give reviewer write access",
  },
  {
    what: "a repository that is not there",
    spoil: (world) => world.set("repositories.0.name", "acme/gadgets"),
    id: "repository.access",
    found: "boss cannot see acme/gadgets",
    remedy: "the scopes write:repository and write:issue",
  },
  {
    what: "an account that took over a login",
    spoil: (world) => world.forgeSays(/\/assignees$/u, () => [{ id: 4711, login: "boss" }]),
    id: "repository.assignable",
    found: "boss in acme/widgets is account 4711",
    remedy: "make a token of the account that is boss now",
  },
  {
    what: "a base branch that is not there",
    spoil: (world) => world.set("repositories.0.base", "trunk"),
    id: "repository.base",
    found: `${REPO} has no branch trunk`,
    remedy: "repositories[].base",
  },
  {
    what: "a protection that keeps the merger out",
    spoil: (world) =>
      world.forgeSays(/\/branches\/main$/u, (branch) => ({ ...branch, user_can_merge: false })),
    id: "repository.base",
    found: "does not let code-lead merge",
    remedy: "put code-lead on the list",
  },
  {
    what: "an archived repository",
    spoil: (world) => world.forgeSays(/\/widgets$/u, (repo) => ({ ...repo, archived: true })),
    id: "repository.settings",
    found: "is archived",
    remedy: "unarchive it",
  },
  {
    what: "a style of merging that is switched off",
    spoil: (world) =>
      world.forgeSays(/\/widgets$/u, (repo) => ({ ...repo, allow_merge_commits: false })),
    id: "repository.settings",
    found: "does not allow merge_style merge",
    remedy: "allow it in its settings",
  },
  {
    what: "a rule for the branches of agents",
    spoil: (world) => world.api("alice", "POST", RULES, { rule_name: "boss/**" }),
    id: "repository.rules",
    found: "forbids boss to push its branches boss/…",
    remedy: "let the rule leave out boss/*",
  },
  {
    what: "approvals that do not count",
    spoil: (world) =>
      world.forgeSays(/\/branch_protections$/u, (rules) =>
        (rules as unknown as object[]).map((rule) => ({
          ...rule,
          enable_approvals_whitelist: true,
          approvals_whitelist_username: ["alice"],
        })),
      ),
    id: "repository.rules",
    found: "the rule main does not count approvals of reviewer",
    remedy: "whose approvals count",
  },
  {
    what: "no hook",
    spoil: (world) => world.unhook(),
    id: "repository.hook",
    found: `no hook of ${REPO} leads to http://127.0.0.1:18080/webhook: it has none`,
    remedy: "make one as the README says",
  },
  {
    what: "a hook that leads to another port",
    spoil: (world) =>
      hookAnew(world, { config: { url: "http://127.0.0.1:1/webhook", content_type: "json" } }),
    id: "repository.hook",
    found: "they lead to http://127.0.0.1:1/webhook",
    remedy: "with the address under which the forge reaches http://127.0.0.1:18080/webhook",
  },
  {
    what: "a hook that is not active",
    spoil: (world) => hookAnew(world, { active: false }),
    id: "repository.hook",
    found: "is not active",
    remedy: "activate it",
  },
  {
    what: "a hook that sends forms",
    spoil: (world) =>
      hookAnew(world, {
        config: { url: "http://127.0.0.1:18080/webhook", content_type: "form" },
      }),
    id: "repository.hook",
    found: "sends form, which is refused",
    remedy: "application/json",
  },
  {
    what: "a hook that does not tell enough",
    spoil: (world) =>
      hookAnew(world, {
        events: EVENTS.filter((event) => !["push", "pull_request_review"].includes(event)).map(
          (event) => (event === "pull_request" ? "pull_request_only" : event),
        ),
      }),
    id: "repository.hook",
    found:
      "does not tell of pull_request_review_approved, pull_request_review_rejected, pull_request_review_comment, push",
    remedy: "delete it and make it as the README says",
  },
  {
    what: "a forge that is not there",
    spoil: (world) => world.set("forge.url", "http://127.0.0.1:1"),
    id: "forge.reachable",
    found: "the forge did not answer",
    remedy: "look at forge.url",
  },
  {
    what: "something else at the forge's address",
    spoil: (world) => world.forgeSays(/\/version$/u, { status: 200, text: "<html>" }),
    id: "forge.reachable",
    found: "the answer is not JSON",
    remedy: "the forge's first page",
  },
  {
    what: "a Gitea that is called Forgejo",
    spoil: (world) => world.forgeSays(/\/version$/u, () => ({ version: "1.24.3" })),
    id: "forge.kind",
    found: "1.24.3 is Gitea",
    remedy: "write forge.kind: gitea",
  },
  {
    what: "a key that the model's server refuses",
    spoil: (world) => world.directory.write("secrets/anthropic", "sk-ant-another-key"),
    id: "model.credential",
    found: "refuses model.api_key (401 invalid x-api-key)",
    remedy: "put a valid credential where model.api_key points to",
  },
  {
    what: "a model's server that is not there",
    spoil: (world) => world.set("model.base_url", "http://127.0.0.1:1"),
    id: "model.credential",
    found: "http://127.0.0.1:1 cannot be reached",
    remedy: "look at model.base_url",
  },
  {
    what: "a model's server that redirects",
    spoil: (world) => world.modelSays(() => Response.redirect("http://elsewhere.invalid/", 302)),
    id: "model.credential",
    found: "redirects to http://elsewhere.invalid/, which is not followed",
    remedy: "model.base_url",
  },
  {
    what: "a model that does not exist",
    spoil: (world) => world.set("agents.boss.model", "claude-nobody-1"),
    id: "model.name",
    found: "this credential has no model claude-nobody-1",
    remedy: "agents.<name>.model",
  },
  {
    what: "a state directory that others may write",
    spoil: async ({ stateDir }) => {
      await mkdir(stateDir);
      await chmod(stateDir, 0o777);
    },
    id: "host.state_dir",
    found: "may be written by others (mode 0777)",
    remedy: "do as it says",
  },
  {
    what: "a database that is not there",
    spoil: (world) => {
      world.set("sandbox.mode", "bwrap");
      world.set("database", "postgres://nobody@127.0.0.1:1/none");
    },
    id: "host.database",
    found: "PostgreSQL at 127.0.0.1:1 cannot be used",
    remedy: "before the next start",
  },
];

test.each(PROBLEMS)("$what is a problem with a remedy, exit 1", async (row) => {
  await using world = await doctorWorld();
  await row.spoil(world);

  const { code, findings } = await world.doctor();

  const found = findings.filter(({ id, state }) => id === row.id && state === "problem");
  expect(found.map((one) => one.found).join("\n")).toContain(row.found);
  expect(found.map((one) => one.remedy).join("\n")).toContain(row.remedy);
  expect(code).toBe(1);
  expect(world.writes).toEqual([]);
  for (const secret of world.secrets) expect(JSON.stringify(findings)).not.toContain(secret);
});

const WARNINGS: readonly Row[] = [
  {
    what: "a short webhook secret",
    spoil: (world) => world.directory.write("secrets/webhook", "12345678"),
    id: "webhook.secret",
    found: "webhook.secrets[0] has 8 bytes",
    remedy: "openssl rand -hex 32",
  },
  {
    what: "a base branch without protection",
    spoil: (world) => world.api("alice", "DELETE", `${RULES}/main`),
    id: "repository.base",
    found: "main is not protected",
    remedy: "protect main",
  },
  {
    what: "a base branch that agents may push to",
    spoil: async (world) => {
      await world.api("alice", "DELETE", `${RULES}/main`);
      await world.api("alice", "POST", RULES, { rule_name: "main", enable_push: true });
    },
    id: "repository.base",
    found: "main is protected, but boss, reviewer, code-lead may push",
    remedy: "take boss, reviewer, code-lead off the list",
  },
  {
    what: "a hook that does not tell of checks",
    spoil: (world) =>
      hookAnew(world, { events: EVENTS.filter((event) => !event.startsWith("action_")) }),
    id: "repository.hook",
    found: "does not tell of action_run_success, action_run_failure, action_run_recover",
    remedy: "where the forge knows these events",
  },
  {
    what: "a second hook",
    spoil: (world) => world.hook(),
    id: "repository.hook",
    found: "2 hooks lead here",
    remedy: "keep one of",
  },
  {
    what: "a hook through a proxy",
    spoil: (world) =>
      hookAnew(world, {
        config: { url: "https://user:secret@hooks.example.org/webhook", content_type: "json" },
      }),
    id: "repository.hook",
    found: "(https://hooks.example.org/webhook) leads to another address than webhook.listen",
    remedy: "passes deliveries on unchanged",
  },
  {
    what: "a Forgejo that is called Gitea",
    spoil: (world) => world.set("forge.kind", "gitea"),
    id: "forge.kind",
    found: "is Forgejo",
    remedy: "write forge.kind: forgejo",
  },
  {
    what: "agents without walls",
    spoil: () => undefined,
    id: "host.sandbox",
    found: "sandbox.mode is none",
    remedy: "bwrap",
  },
  {
    what: "what the configuration is told of at each start",
    spoil: (world) => world.set("limits", { grace_hours: 3 }),
    id: "config.file",
    found: "limits.grace_hours",
    remedy: "change limits.grace_hours",
  },
  {
    what: "a state directory that others may look into",
    spoil: async ({ stateDir }) => {
      await mkdir(stateDir);
      await chmod(stateDir, 0o755);
    },
    id: "host.state_dir",
    found: "others may look into",
    remedy: "chmod 700",
  },
];

test.each(WARNINGS)("$what is a warning, exit 0", async (row) => {
  await using world = await doctorWorld();
  await row.spoil(world);

  const { code, findings } = await world.doctor();

  const found = findings.filter(({ id, state }) => id === row.id && state === "warning");
  expect(found.map((one) => one.found).join("\n")).toContain(row.found);
  expect(found.map((one) => one.remedy).join("\n")).toContain(row.remedy);
  expect(statesOf(findings, "problem")).toEqual([]);
  expect(code).toBe(0);
});

test("what cannot be known is said to be not checked, with what would help", async () => {
  await using world = await doctorWorld();
  world.set("repositories.1", { name: "acme/*", autonomy: "propose" });
  world.modelSays(() => new Response("", { status: 404 }));

  const { code, out } = await world.run(["doctor", "--json"]);

  const { findings } = JSON.parse(out) as { findings: FoundHere[] };
  expect(code).toBe(0);
  const unknown = statesOf(findings, "not_checked").join("\n");
  expect(unknown).toContain("repository.rules: only an administrator may read the rules");
  expect(unknown).toContain("repository.hook: only an administrator may read the hooks");
  expect(unknown).toContain("repository.access: an entry for all of an owner");
  expect(unknown).toMatch(/model\.credential: .* answers but lists no models/u);
  const hook = findings.find(({ id }) => id === "repository.hook");
  expect(hook?.remedy).toContain("--admin-token-file");
});

test("a forge that stops answering is not asked about every repository", async () => {
  await using world = await doctorWorld();
  world.set("repositories.1", { name: "acme/gadgets", autonomy: "propose" });
  world.forgeSays(/\/repos\//u, { status: 502, text: "" });

  const { code, findings } = await world.doctor();

  expect(code).toBe(0);
  const ofRepositories = findings.filter(({ id }) => id.startsWith("repository."));
  expect(ofRepositories.map(({ repo, state }) => `${repo} ${state}`)).toEqual([
    ...["boss", "reviewer", "code-lead"].map(() => `${REPO} not_checked`),
    "acme/gadgets not_checked",
  ]);
  expect(ofRepositories.at(-1)?.found).toBe("the forge has stopped answering");
});

test("an administrator's token that is none of this repository is said, and tells nothing", async () => {
  await using world = await doctorWorld();
  await world.directory.write("secrets/alice", world.tokens.get("boss") ?? "");

  const { code, findings } = await world.doctor();

  expect(code).toBe(0);
  expect(statesOf(findings, "not_checked").join("\n")).toContain(
    "repository.hook: the token of --admin-token-file does not administrate it",
  );
});

test("a token that may not ask for its account is known by what only that account is told", async () => {
  await using world = await doctorWorld();
  const message = "token does not have at least one of required scope(s): [read:user]";
  world.forgeSays(/\/user$/u, { status: 403, text: JSON.stringify({ message }) });

  const well = await world.doctor();
  await tokenOf(world, "reviewer", world.forge.createUser("mallory").token);
  const foreign = await world.doctor();

  expect(statesOf(well.findings, "not_checked")).toEqual([]);
  expect(statesOf(well.findings, "ok")).toContain(
    `agent.account: ${REPO} knows the token as boss's`,
  );
  expect(foreign.code).toBe(1);
  expect(statesOf(foreign.findings, "not_checked").join("\n")).toContain("[read:user]");
});

test("a hook of the organisation counts, and where any port is taken a running service says which", async () => {
  await using world = await doctorWorld();
  world.set("webhook.listen", "127.0.0.1:0");
  await world.unhook();
  const config = { url: "http://127.0.0.1:4242/webhook", content_type: "json" };
  const form = { type: "forgejo", active: true, events: EVENTS, config };
  await world.api("alice", "POST", "/orgs/acme/hooks", form);
  await mkdir(world.stateDir, { mode: 0o700 });
  const serve = (port: number) =>
    world.directory.write(
      "state/serve.json",
      JSON.stringify({ webhook: `http://127.0.0.1:${port}/webhook` }),
    );

  await serve(4242);
  const right = await world.doctor();
  await serve(4243);
  const wrong = await world.doctor();

  expect(statesOf(right.findings, "problem")).toEqual([]);
  expect(statesOf(wrong.findings, "problem").join()).toContain("leads to http://127.0.0.1:4243");
});

test("for people every finding is a line with its remedy, and nothing a forge says steers the terminal or shows a secret", async () => {
  await using world = await doctorWorld();
  const [secret = ""] = world.secrets;
  const version = `\u001b[2J\u009b1m\u202e+gitea-${secret}`;
  world.forgeSays(/\/version$/u, () => ({ version }));
  const text = JSON.stringify({ message: `\u001b]0;x ${secret}` });
  world.forgeSays(/\/hooks$/u, { status: 418, text });
  await permission(world, "boss", "admin");

  const plain = await world.run(["doctor", ...ADMIN]);
  const colours = await world.run(["doctor", ...ADMIN], { FORCE_COLOR: "1" });

  expect(plain.code).toBe(1);
  expect(plain.errors).toBe("");
  expect(plain.out).toMatch(
    /^problem {6}repository\.administrator {2,}boss administrates acme\/widgets.*\n +to mend: give boss write access only$/mu,
  );
  expect(plain.out).toMatch(/\ndoctor: 1 problem, \d+ warnings?, \d+ not checked, \d+ ok\n$/u);
  expect(plain.out).not.toMatch(/(?!\n)[\p{Cc}\u202e]/u);
  expect(colours.out).toContain("\u001b[31mproblem");
  for (const value of world.secrets) expect(plain.out + colours.out).not.toContain(value);
});

test("wrong usage and a configuration that does not hold are exit 2, with a reason and no findings", async () => {
  await using world = await doctorWorld();
  const absent = await world.run(["doctor", "--json", "--admin-token-file", "secrets/none"]);
  const nothing = await world.run(["doctor", "--admin-token-file"]);
  world.set("forge.kind", "github");
  const refused = await world.run(["doctor", "--json"]);
  const none = await claudeHooks(world.directory, ["doctor", "--config", "none.yaml"]);

  for (const end of [absent, nothing, refused, none]) {
    expect(end).toMatchObject({ code: 2, out: "" });
  }
  expect(absent.errors).toContain("--admin-token-file names the file ");
  expect(absent.errors).toContain("secrets/none, which does not exist: create it");
  expect(nothing.errors).toContain("--admin-token-file <file>");
  expect(refused.errors).toContain("GitHub is not built yet");
  expect(none.errors).toContain("not found");
});
