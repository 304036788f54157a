import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { lstat, mkdir, mkdtemp, readFile, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import type { JailedCommand } from "../../src/ports/jail.ts";
import { JailRefusal } from "../../src/sandbox/clone-mounts.ts";
import { createJail } from "../../src/sandbox/create-jail.ts";
import { bareSpec, git } from "../support/agent-world.ts";

const SECRET = "a secret of the host";
let dir = "";

beforeEach(async () => {
  dir = await mkdtemp("/tmp/ch-second-");
  await mkdir(join(dir, "home"));
  await Bun.write(join(dir, "secret"), SECRET);
});
afterEach(() => rm(dir, { recursive: true, force: true }));

/** A clone where the service puts it: its last directory has the name of the agent. */
async function cloneOf(agent: string): Promise<string> {
  const clone = join(dir, "work/acme/widgets/1", agent);
  await mkdir(clone, { recursive: true });
  await git(clone, ["init", "-q", "-b", "main"]);
  return clone;
}

function command(clone: string, script: string): JailedCommand {
  const jail = createJail({ mode: "bwrap", dir: join(dir, "jail") });
  return jail.command(bareSpec(clone, join(dir, "home")), "/bin/bash", ["-c", script]);
}

async function run({ file, args, env }: JailedCommand) {
  const child = Bun.spawn([file, ...args], { cwd: "/", env: { ...env }, stderr: "pipe" });
  const [out, error, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { out: out.trim(), error: error.trim(), code };
}

const NAMES = ["config.worktree", "commondir", "objects/info/alternates", "HEAD", "index"];
const planting = (agent: string, name: string): string => {
  const up = "../".repeat(name.split("/").length + 1);
  return `ln -s ${dir}/secret /clone/X && mkdir -p "$(dirname .git/${name})" && ln -sf ${up}${agent}/X .git/${name}`;
};

describe("a second start in the same clone", () => {
  test.each(
    ["dev", "tmp", "run", "etc", "home"].flatMap((agent) => NAMES.map((name) => [agent, name])),
  )(
    "agent %s: a link planted at .git/%s shows nothing of the host",
    async (agent = "", name = "") => {
      const clone = await cloneOf(agent);

      const planted = await run(command(clone, planting(agent, name)));
      const seen = await run(
        command(clone, `cat /${agent}/X .git/${name}; cat /proc/mounts; true`),
      );

      expect(planted).toMatchObject({ code: 0, error: "" });
      expect((await lstat(join(clone, ".git", name))).isSymbolicLink()).toBe(true);
      expect(seen.code).toBe(0);
      expect(seen.out).not.toContain(SECRET);
      expect(seen.out).not.toContain(`/${agent}/X`);
    },
  );

  test.each(["dev", "tmp"])("control, agent %s: such a mount would show it", async (agent) => {
    const clone = await cloneOf(agent);
    await run(command(clone, planting(agent, "config.worktree")));
    const second = command(clone, `cat /${agent}/X`);
    const at = second.args.indexOf("/clone/.git/config") + 1;
    const link = join(clone, ".git/config.worktree");
    const mount = ["--ro-bind-try", link, "/clone/.git/config.worktree"];

    const seen = await run({ ...second, args: second.args.toSpliced(at, 0, ...mount) });

    expect(seen.out).toBe(SECRET);
  });

  test("what is mounted cannot be replaced from inside, whether it was there before or not", async () => {
    const clone = await cloneOf("dev");
    await rm(join(clone, ".git/hooks"), { recursive: true });
    const config = await readFile(join(clone, ".git/config"), "utf8");
    const names = [".git", ".git/hooks", ".git/config"];
    const attack = names
      .map((name) => `mv ${name} /clone/m; rm -rf ${name}; ln -sfn ${dir}/secret ${name}`)
      .join("; ");

    for (const _start of ["set-up", "CLI", "nudge"]) await run(command(clone, attack));

    const found = await Promise.all(names.map((name) => lstat(join(clone, name))));
    expect(found.map((one) => one.isSymbolicLink())).toEqual([false, false, false]);
    expect(await readFile(join(clone, ".git/config"), "utf8")).toBe(config);
  });

  test.each([".git", ".git/hooks", ".git/config"])("is refused with a link at %s", async (name) => {
    const clone = await cloneOf("dev");
    await rm(join(clone, name), { recursive: true, force: true });
    await symlink(join(dir, "secret"), join(clone, name));

    expect(() => command(clone, "true")).toThrow(JailRefusal);
  });

  test("is refused with a link in place of the clone or of the home", async () => {
    const clone = await cloneOf("dev");
    await symlink(clone, join(dir, "link"));
    const jail = createJail({ mode: "bwrap", dir: join(dir, "jail") });
    const [home, link] = [join(dir, "home"), join(dir, "link")];

    expect(() => jail.command(bareSpec(link, home), "true", [])).toThrow(JailRefusal);
    expect(() => jail.command(bareSpec(clone, link), "true", [])).toThrow(JailRefusal);
  });
});
