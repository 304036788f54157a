import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmod, mkdir, mkdtemp, rename, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import type { JailSpec } from "../../src/ports/jail.ts";
import { checkBwrap, checkPlain } from "../../src/sandbox/check-jail.ts";
import { createJail } from "../../src/sandbox/create-jail.ts";
import { pidsWith } from "../support/process-tree.ts";

setDefaultTimeout(30_000);

/** Root steps back as often as it likes. */
const AS_USER = ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "--"];
const AUTOGROUP = "/proc/self/autogroup";
const PROGRAMS = ["setsid", "nice", "sleep", "grep", "setpriv", "prlimit", "socat", "git"];

interface Place extends AsyncDisposable {
  readonly dir: string;
  readonly jailDir: string;
  readonly spec: JailSpec;
}

async function place(): Promise<Place> {
  const dir = await mkdtemp("/tmp/ch-start-");
  const [clone, home] = [join(dir, "clone"), join(dir, "home")];
  await Promise.all([mkdir(clone), mkdir(home)]);
  const sockets = { gatewaySocket: null, egressSocket: null };
  return {
    dir,
    jailDir: join(dir, "jail"),
    spec: { clone, home, ...sockets, read: [], env: {} },
    [Symbol.asyncDispose]: async () => await rm(dir, { recursive: true, force: true }),
  };
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 5_000;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error("waited for 5 s in vain");
    await Bun.sleep(10);
  }
}

describe("the check", () => {
  test.each([
    ["setsid", "util-linux"],
    ["nice", "coreutils"],
    ["setpriv", "util-linux"],
    ["prlimit", "util-linux"],
    ["grep", "grep"],
    ["socat", "socat"],
  ])("names %s where it is missing, and what to install", async (program, name) => {
    await using here = await place();
    const path = join(here.dir, "bin");
    await mkdir(path);
    for (const one of PROGRAMS.filter((other) => other !== program)) {
      await symlink(Bun.which(one) ?? "", join(path, one));
    }
    const jail = createJail({ mode: "bwrap", dir: here.jailDir });

    const walls = await checkBwrap(jail, here.jailDir, path);
    const none = await checkPlain(path);

    const missing = {
      ok: false,
      problem: `${program} is not installed (looked for in ${path})`,
      remedy: `apt-get install ${name}`,
    } as const;
    expect(walls).toEqual(missing);
    expect(none).toEqual(["nice", "setpriv"].includes(program) ? missing : { ok: true });
  });
});

describe("the tag", () => {
  test("is the directory's own: the same by any path, another for another one under the same path", async () => {
    await using here = await place();
    const { dir, jailDir } = here;
    const link = join(dir, "link");
    await symlink(jailDir, link);
    const tagAt = (path: string): string => createJail({ mode: "bwrap", dir: path }).tag;

    const tag = tagAt(jailDir);

    expect(tag).toMatch(/^CLAUDE_HOOKS_JAIL=[0-9a-f]{32}$/);
    expect(tagAt(jailDir)).toBe(tag);
    expect(tagAt(link)).toBe(tag);
    const moved = join(dir, "moved");
    await rename(jailDir, moved);
    expect(tagAt(jailDir)).not.toBe(tag);
    expect(tagAt(moved)).toBe(tag);
  });

  test.each(["bwrap", "none"] as const)("is in what a jail %s starts", async (mode) => {
    await using here = await place();
    const jail = createJail({ mode, dir: here.jailDir });
    const { env } = jail.command(here.spec, "true", []);

    expect(Object.entries(env).map(([name, value]) => `${name}=${value}`)).toContain(jail.tag);
  });
});

describe("the start", () => {
  test("of several jails at once makes all of them step back, also for a user that may do so rarely", async () => {
    await using here = await place();
    const { command } = createJail({ mode: "bwrap", dir: here.jailDir });
    const script = `nice; [ ! -e ${AUTOGROUP} ] || cat ${AUTOGROUP}`;
    const { file, args, env } = command(here.spec, "/bin/sh", ["-c", script]);
    const isRoot = process.getuid?.() === 0;
    if (isRoot) await Bun.$`chown -R 1000:1000 ${here.dir}`;

    const ends = await Promise.all(
      [1, 2, 3, 4].map(async () => {
        const whole = [...(isRoot ? AS_USER : []), file, ...args];
        const child = Bun.spawn(whole, { env: { ...env }, stderr: "pipe" });
        const streams = [child.stdout, child.stderr].map(async (from) => new Response(from).text());
        return await Promise.all(streams);
      }),
    );

    const isGrouped = await Bun.file(AUTOGROUP).exists();
    for (const [out, errors] of ends) {
      expect(errors).toBe("");
      expect(out).toMatch(isGrouped ? /^10\n.* nice 10\n$/ : /^10\n$/);
    }
  });

  test("that is still under way dies with the service", async () => {
    await using here = await place();
    const bwrap = join(here.dir, "bwrap-slow");
    const seconds = `6${Date.now()}`;
    await Bun.write(bwrap, `#!/bin/sh\nexec sleep ${seconds}\n`);
    await chmod(bwrap, 0o755);
    const jail = createJail({ mode: "bwrap", dir: here.jailDir, bwrap });
    const { file, args, env } = jail.command(here.spec, "true", []);
    const options = JSON.stringify({ env, stdio: ["ignore", "ignore", "ignore"] });
    const start = `Bun.spawn(${JSON.stringify([file, ...args])}, ${options});`;
    const service = Bun.spawn([process.execPath, "-e", `${start} setInterval(() => {}, 1000)`]);
    const left = async (): Promise<readonly number[]> => await pidsWith(`sleep\0${seconds}`);
    await until(async () => (await left()).length === 1);

    service.kill("SIGKILL");

    try {
      await until(async () => (await left()).length === 0);
    } finally {
      for (const pid of await left()) process.kill(pid, "SIGKILL");
    }
  });
});
