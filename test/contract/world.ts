import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "./eventually.ts";
import { type Answer, at, type Credential, callForge } from "./forge-client.ts";
import type { ForgeUnderTest } from "./forge-under-test.ts";
import { type GitAnswer, runGit, writeFiles } from "./git-client.ts";
import { type HookListener, openHookListener, type ReceivedEvent } from "./hook-listener.ts";

/** owner has the repository, guest may only read, outsider nothing; the others may write. */
export type Role = "owner" | "boss" | "reviewer" | "lead" | "guest" | "outsider";
type Person = { login: string; id: number; token: string; password: string };

/** What every case gets: one server, one private repository with a hook, six accounts. */
export type World = {
  forge: ForgeUnderTest;
  people: Record<Role, Person>;
  /** `/repos/{owner}/{repo}` */
  repo: string;
  fullName: string;
  secret: string;
  listener: HookListener;
  as: (role: Role, method: string, path: string, body?: unknown) => Promise<Answer>;
  /** `path` begins after /repos/{owner}/{repo}. */
  inRepo: (role: Role, method: string, path: string, body?: unknown) => Promise<Answer>;
  call: (credential: Credential, method: string, path: string, body?: unknown) => Promise<Answer>;
  git: (role: Role | "nobody", args: string[]) => Promise<GitAnswer>;
  /** Commits files on top of a branch and pushes; @returns the new sha. */
  push: (role: Role, commit: Commit) => Promise<string>;
  newIssue: (body?: Record<string, unknown>, role?: Role) => Promise<number>;
  /** A pull request whose conflict check is done, on a branch of its own. */
  newPull: (options?: PullOptions) => Promise<TestPull>;
  mergeableSoon: (number: number) => Promise<boolean>;
  /** Waits for a webhook. */
  event: (wanted: WantedEvent) => Promise<ReceivedEvent | undefined>;
  /** Waits until the server's clock, which counts whole seconds, has gone on by one. */
  nextSecond: () => Promise<void>;
  unique: (prefix: string) => string;
  close: () => Promise<void>;
};

type Commit = {
  branch: string;
  from?: string;
  files?: Record<string, string>;
  message?: string;
  /** Fetches first; needed where the forge itself has moved the branch and its tip matters. */
  fresh?: boolean;
};
type PullOptions = {
  author?: Role;
  title?: string;
  body?: string;
  files?: Record<string, string>;
  message?: string;
  settle?: boolean;
};
type TestPull = { number: number; branch: string; sha: string; created: unknown };
type WantedEvent = { type: string; action?: string; number?: number; ref?: string };

const ROLES: Role[] = ["owner", "boss", "reviewer", "lead", "guest", "outsider"];
const HOOK_EVENTS = ["issues", "pull_request", "push", "create", "delete"];

/**
 * Creates accounts, repository, collaborators and hook on the server, all through HTTP. `close`
 * removes them and stops the server, if it was started for the suite.
 */
export async function openWorld(forge: ForgeUnderTest): Promise<World> {
  const suffix = randomUUID().slice(0, 8);
  const admin: Credential = { kind: "token", token: forge.adminToken };
  const call: World["call"] = (credential, method, path, body) =>
    callForge(forge.url, credential, { method, path, ...(body === undefined ? {} : { body }) });
  const entries: [Role, Person][] = [];
  for (const role of ROLES)
    entries.push([role, await createPerson(call, admin, `${role}-${suffix}`)]);
  const people = Object.fromEntries(entries) as Record<Role, Person>;
  const owner = people.owner.login;
  const name = `widgets-${suffix}`;
  const repo = `/repos/${owner}/${name}`;
  must(
    201,
    await call(admin, "POST", `/admin/users/${owner}/repos`, {
      name,
      private: true,
      auto_init: true,
      default_branch: "main",
    }),
  );
  const listener = openHookListener();
  const directory = await mkdtemp(join(tmpdir(), "forge-contract-git-"));
  const as: World["as"] = (role, method, path, body) =>
    call({ kind: "token", token: people[role].token }, method, path, body);
  const inRepo: World["inRepo"] = (role, method, path, body) =>
    as(role, method, `${repo}${path}`, body);
  for (const role of ["boss", "reviewer", "lead"] as const)
    must(
      204,
      await inRepo("owner", "PUT", `/collaborators/${people[role].login}`, { permission: "write" }),
    );
  must(
    204,
    await inRepo("owner", "PUT", `/collaborators/${people.guest.login}`, { permission: "read" }),
  );
  const secret = `secret-${suffix}`;
  const config = { url: listener.url, content_type: "json", secret };
  const hook = { type: "forgejo", config, events: HOOK_EVENTS, active: true, branch_filter: "*" };
  must(201, await inRepo("owner", "POST", "/hooks", hook));
  const git: World["git"] = (role, args) =>
    runGit(directory, args, {
      url: forge.url,
      token: role === "nobody" ? undefined : people[role].token,
    });
  const clone = await git("owner", ["clone", "--quiet", `${forge.url}/${owner}/${name}.git`, "."]);
  if (clone.exitCode !== 0) throw new Error(`the clone failed: ${clone.stderr}`);
  const base = { forge, people, repo, fullName: `${owner}/${name}`, secret, listener };
  const low = { ...base, as, inRepo, call, git };
  return {
    ...low,
    ...worldActions(low, directory),
    close: async () => {
      await inRepo("owner", "DELETE", "");
      for (const person of Object.values(people))
        await call(admin, "DELETE", `/admin/users/${person.login}?purge=true`);
      await listener.stop();
      await rm(directory, { recursive: true, force: true });
      await forge.stop();
    },
  };
}

type Low = Pick<World, "forge" | "listener" | "as" | "inRepo" | "call" | "git">;

function worldActions(low: Low, directory: string) {
  const unique = (prefix: string): string => `${prefix}-${randomUUID().slice(0, 8)}`;
  const push: World["push"] = async (role, commit) => {
    if (commit.fresh === true) await mustGit(low, role, ["fetch", "--quiet", "origin"]);
    const from = commit.from ?? "main";
    await mustGit(low, role, ["checkout", "--quiet", "-B", commit.branch, `origin/${from}`]);
    await writeFiles(directory, commit.files ?? { [`${unique("file")}.txt`]: "text\n" });
    await mustGit(low, role, ["add", "--all"]);
    await mustGit(low, role, ["commit", "--quiet", "-m", commit.message ?? "change"]);
    await mustGit(low, role, ["push", "--quiet", "origin", `HEAD:refs/heads/${commit.branch}`]);
    return (await mustGit(low, role, ["rev-parse", "HEAD"])).trim();
  };
  const mergeableSoon: World["mergeableSoon"] = async (number) =>
    (await eventually(async () => {
      const pull = await low.inRepo("owner", "GET", `/pulls/${number}`);
      return at(pull.body, "mergeable") === true ? true : undefined;
    })) ?? false;
  const newIssue: World["newIssue"] = async (body = {}, role = "owner") => {
    const made = await low.inRepo(role, "POST", "/issues", { title: unique("issue"), ...body });
    return Number(at(must(201, made).body, "number"));
  };
  const newPull: World["newPull"] = async (options = {}) => {
    const { author = "boss", title = unique("pull"), body = "", settle = true } = options;
    const branch = `boss/${unique("b")}`;
    const { files, message } = options;
    const sha = await push("boss", {
      branch,
      ...(files === undefined ? {} : { files }),
      ...(message === undefined ? {} : { message }),
    });
    const form = { head: branch, base: "main", title, body };
    const made = must(201, await low.inRepo(author, "POST", "/pulls", form));
    const number = Number(at(made.body, "number"));
    if (settle) await mergeableSoon(number);
    return { number, branch, sha, created: made.body };
  };
  const event: World["event"] = (wanted) =>
    eventually(() =>
      Promise.resolve(low.listener.events.find((received) => isWanted(received, wanted))),
    );
  const nextSecond: World["nextSecond"] = () => Bun.sleep(1100 / low.forge.clockRate);
  return { unique, push, mergeableSoon, newIssue, newPull, event, nextSecond };
}

function isWanted(received: ReceivedEvent, wanted: WantedEvent): boolean {
  return (
    received.eventType === wanted.type &&
    (wanted.action === undefined || received.action === wanted.action) &&
    (wanted.number === undefined || received.number === wanted.number) &&
    (wanted.ref === undefined || received.ref === wanted.ref)
  );
}

async function createPerson(
  call: World["call"],
  admin: Credential,
  login: string,
): Promise<Person> {
  const password = `Pw-${randomUUID()}`;
  const made = must(
    201,
    await call(admin, "POST", "/admin/users", {
      username: login,
      email: `${login}@example.org`,
      password,
      must_change_password: false,
    }),
  );
  const scopes = ["write:repository", "write:issue", "write:user"];
  const basic: Credential = { kind: "basic", user: login, password };
  const path = `/users/${login}/tokens`;
  const token = must(201, await call(basic, "POST", path, { name: "contract", scopes }));
  const sha1 = String(at(token.body, "sha1"));
  return { login, id: Number(at(made.body, "id")), token: sha1, password };
}

/** Setting up must succeed: without it no case means anything. */
function must(status: number, answer: Answer): Answer {
  if (answer.status !== status)
    throw new Error(`setting up: expected ${status}, seen ${answer.status}: ${answer.text}`);
  return answer;
}

async function mustGit(low: Low, role: Role, args: string[]): Promise<string> {
  const result = await low.git(role, args);
  if (result.exitCode !== 0)
    throw new Error(`setting up: git ${args.join(" ")} failed: ${result.stderr}`);
  return result.stdout;
}
