import { describe, expect, test } from "bun:test";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import type { ProcessIdentity } from "../../src/ports/jail.ts";
import { createJail } from "../../src/sandbox/create-jail.ts";
import { createProcesses } from "../../src/sandbox/create-processes.ts";
import { pidsWith } from "../support/process-tree.ts";

const processes = createProcesses();

function identityOf(pid: number): ProcessIdentity {
  const identity = processes.identify(pid);
  if (identity === null) throw new Error(`no process ${pid}`);
  return identity;
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 5_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error("waited for 5 s in vain");
    await Bun.sleep(10);
  }
}

describe("identity", () => {
  test("a living process is known again, one with other start ticks or another boot is not", () => {
    const me = identityOf(process.pid);

    expect(processes.isAlive(me)).toBe(true);
    expect(processes.isAlive({ ...me, startTicks: "1" })).toBe(false);
    expect(processes.isAlive({ ...me, bootId: "another" })).toBe(false);
  });

  test("there is none for a pid without process", () => {
    expect(processes.identify(2 ** 22 + 1)).toBeNull();
  });

  test("a name with blanks and parentheses is no trouble", async () => {
    const dir = await mkdtemp("/tmp/ch-proc-");
    const odd = join(dir, "a) Z (b");
    await Bun.write(odd, Bun.file("/usr/bin/sleep"));
    await Bun.$`chmod 755 ${odd}`;
    const child = Bun.spawn([odd, "30"]);

    const identity = identityOf(child.pid);

    expect(identity.startTicks).toMatch(/^\d+$/);
    expect(processes.isAlive(identity)).toBe(true);
    await processes.end(identity);
    await rm(dir, { recursive: true });
  });
});

describe("the end", () => {
  test("takes children in sessions of their own, too", async () => {
    const mark = `3${Date.now()}`;
    const child = Bun.spawn(["bash", "-c", `setsid sleep ${mark} & sleep ${mark}; true`]);
    const identity = identityOf(child.pid);
    while ((await pidsWith(`sleep\0${mark}`)).length < 2) await Bun.sleep(10);

    await processes.end(identity);

    expect(processes.isAlive(identity)).toBe(false);
    expect(await pidsWith(`sleep\0${mark}`)).toEqual([]);
  });

  test("takes a tree in which a child is a zombie that nobody reaps", async () => {
    const child = Bun.spawn(["sh", "-c", "sleep 0.05 & exec sleep 60"], { stdout: "ignore" });
    const tree = identityOf(child.pid);
    const stateOfChild = async (): Promise<string> => {
      const listed = Bun.spawn(["ps", "-o", "stat=", "--ppid", `${child.pid}`], { stdout: "pipe" });
      return (await new Response(listed.stdout).text()).trim();
    };
    const deadline = performance.now() + 5_000;
    while (!(await stateOfChild()).startsWith("Z")) {
      if (performance.now() > deadline) throw new Error("no zombie appeared");
    }

    await processes.end(tree);

    expect(processes.isAlive(tree)).toBe(false);
  });

  test("takes everything in a jail, also what has detached itself", async () => {
    const dir = await mkdtemp("/tmp/ch-proc-");
    const [clone, home] = [join(dir, "clone"), join(dir, "home")];
    await Promise.all([mkdir(clone), mkdir(home)]);
    const mark = `4${Date.now()}`;
    const jail = createJail({ mode: "bwrap", dir: join(dir, "jail") });
    const spec = { clone, home, gatewaySocket: null, egressSocket: null, read: [], env: {} };
    const script = `(setsid nohup sleep ${mark} >/dev/null 2>&1 &) ; sleep ${mark}; true`;
    const command = jail.command(spec, "/bin/bash", ["-c", script]);
    const child = Bun.spawn([command.file, ...command.args], { env: { ...command.env } });
    const identity = identityOf(child.pid);
    while ((await pidsWith(`sleep\0${mark}`)).length < 2) await Bun.sleep(10);

    await processes.end(identity);

    expect(await pidsWith(`sleep\0${mark}`)).toEqual([]);
    await rm(dir, { recursive: true });
  });

  test("finds a jail by its tag whose bubblewrap died without ending it", async () => {
    const dir = await mkdtemp("/tmp/ch-proc-");
    const [clone, home] = [join(dir, "clone"), join(dir, "home")];
    await Promise.all([mkdir(clone), mkdir(home)]);
    const text = `5${Date.now()}`;
    const jail = createJail({ mode: "bwrap", dir: join(dir, "jail") });
    const other = createJail({ mode: "bwrap", dir: join(dir, "other") });
    const spec = { clone, home, gatewaySocket: null, egressSocket: null, read: [], env: {} };
    const command = jail.command(spec, "/bin/bash", ["-c", `sleep ${text}; true`]);
    // As if it had been killed before its child asked to die with it.
    const args = command.args.filter((argument) => argument !== "--die-with-parent");
    const child = Bun.spawn([command.file, ...args], { env: { ...command.env } });
    while ((await pidsWith(`sleep\0${text}`)).length === 0) await Bun.sleep(10);
    const outer = identityOf(child.pid);
    child.kill("SIGKILL");
    await child.exited;
    expect(processes.isAlive(outer)).toBe(false);
    expect(await pidsWith(`sleep\0${text}`)).not.toEqual([]);

    expect(await processes.endTagged(other.tag)).toBe(0);
    expect(await pidsWith(`sleep\0${text}`)).not.toEqual([]);
    expect(await processes.endTagged(jail.tag)).toBeGreaterThan(0);

    expect(await pidsWith(`sleep\0${text}`)).toEqual([]);
    await rm(dir, { recursive: true });
  });

  test("does not look for what could be the tag of anybody", async () => {
    for (const tag of ["", "CLAUDE_HOOKS_JAIL=", "PATH=/usr/bin"]) {
      await expect(processes.endTagged(tag)).rejects.toThrow("no tag of a jail");
    }
  });

  test("does nothing to another process under the same pid", async () => {
    const child = Bun.spawn(["sleep", "30"]);
    const identity = identityOf(child.pid);

    await processes.end({ ...identity, startTicks: "1" });

    expect(processes.isAlive(identity)).toBe(true);
    await processes.end(identity);
    await until(() => child.killed || child.exitCode !== null || child.signalCode !== null);
    expect(child.signalCode).toBe("SIGKILL");
  });
});
