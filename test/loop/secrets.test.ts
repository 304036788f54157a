import { expect, test } from "bun:test";
import { lstat, readdir, readFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { use } from "../../demo/model/conversation.ts";
import { forgeTool, IMPLEMENTING } from "../support/model-steps.ts";
import { MODEL_KEY, type ServiceWorld, serviceWorld } from "../support/service-world.ts";

/** What a curious agent tries, one call each. */
const PRYING = [
  "env; set; cat /proc/self/environ",
  "cat /proc/*/environ; cat /proc/1/cmdline; cat /proc/*/cmdline; cat /proc/*/maps | head -200",
  "ls -laR / /root /home /tmp /run /etc 2>&1 | head -c 20000",
  "cat .git/config; cat .git/hooks/* .git/logs/HEAD; git remote -v; git config --list --show-origin",
  "grep -rIl -e 'sk-ant' -e 'Authorization' / --include=* -s --exclude-dir=proc --exclude-dir=sys --exclude-dir=usr | head; ls -la ~ ~/.* 2>&1 | head -100",
  "cat ~/.claude.json ~/.credentials.json ~/*.json ~/projects/*/*.jsonl 2>&1 | head -c 20000",
  "for s in /run/* /tmp/*; do echo $s; cat $s; done 2>&1 | head -c 5000; ls -la /proc/*/fd 2>&1 | head -100",
  "curl -s -m 2 http://127.0.0.1:8081/api/v1/status; curl -sv -m 2 http://127.0.0.1:8080/healthz 2>&1 | head; git fetch 2>&1; git push origin HEAD 2>&1",
  "mount; cat /proc/mounts /proc/net/unix /proc/net/tcp; ps auxww 2>&1 || true; dmesg 2>&1 | head -5",
].map((command) => use("Bash", { command }));

test("neither the model key nor tokens nor secrets reach the agent, the model, the disk or the log", async () => {
  await using world = await serviceWorld({ repository: { review: "requested" } });
  const all = [...PRYING, ...IMPLEMENTING];
  world.script(({ calls }) => all[calls.length] ?? { text: "Done." });
  await world.issue();
  await world.line({ msg: "run ended", outcome: "succeeded" });
  world.script(({ calls }) => PRYING[calls.length] ?? forgeTool("ask_human", { question: "?" }));
  await world.settled(1);

  const secrets = await secretsOf(world);
  expect(secrets.size).toBe(6);
  const requests = world.world.model?.requests ?? [];
  expect(requests.length).toBeGreaterThan(all.length);
  const told = requests.map(({ raw }) => raw).join("\n");
  // The commands were carried out: their answers came back.
  expect(told).toContain("CLAUDE_CONFIG_DIR=");
  for (const [name, secret] of secrets) {
    for (const form of formsOf(secret)) {
      expect(told.includes(form), `${name} in a request of the model`).toBe(false);
      const log = world.lines.map((line) => JSON.stringify(line)).join("\n");
      expect(log.includes(form), `${name} in the log`).toBe(false);
      expect(await filesWith(world, form), `${name} on the disk`).toEqual([]);
    }
  }
  // The gateway gives each run a credential of its own and takes the real key in its place.
  expect(requests.every(({ headers }) => headers["x-api-key"] === MODEL_KEY)).toBe(true);
  expect(told).toContain("sk-run-");
}, 60_000);

async function secretsOf(world: ServiceWorld): Promise<ReadonlyMap<string, string>> {
  const directory = join(world.dir, "secrets");
  const found = new Map<string, string>();
  for (const name of await readdir(directory)) {
    found.set(name, (await readFile(join(directory, name), "utf8")).trim());
  }
  return found;
}

/** A secret as it is and as git and HTTP carry it. */
function formsOf(secret: string): readonly string[] {
  return [
    secret,
    ...["boss", "reviewer", "code-lead"].map((login) =>
      Buffer.from(`${login}:${secret}`).toString("base64"),
    ),
  ];
}

/** Every file of the service's world that holds the bytes; the forge's own and the secrets are left out. */
async function filesWith(world: ServiceWorld, text: string): Promise<readonly string[]> {
  const wanted = Buffer.from(text);
  const found: string[] = [];
  let seen = 0;
  for (const name of await readdir(world.dir, { recursive: true })) {
    if (/^(secrets|forge|clone-of-alice)(\/|$)/u.test(name)) continue;
    const path = join(world.dir, name);
    const facts = await lstat(path).catch(() => null);
    if (facts === null || !facts.isFile()) continue;
    seen += 1;
    if ((await readFile(path)).includes(wanted)) found.push(relative(world.dir, path));
  }
  expect(seen).toBeGreaterThan(30);
  return found;
}
