import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmod, mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Jail, JailSpec } from "../../src/ports/jail.ts";
import { createJail } from "../../src/sandbox/create-jail.ts";
import { git } from "../support/agent-world.ts";

let dir = "";
let clone = "";
let home = "";
let jail: Jail;

beforeAll(async () => {
  dir = await mkdtemp("/tmp/ch-jail-");
  [clone, home] = [join(dir, "clone"), join(dir, "home")];
  await Promise.all([
    mkdir(clone),
    mkdir(home),
    mkdir(join(dir, "tools/bin"), { recursive: true }),
  ]);
  await git(clone, ["init", "-q", "-b", "main"]);
  await git(clone, ["config", "user.name", "boss"]);
  await git(clone, ["config", "user.email", "boss@example.org"]);
  await Bun.write(join(clone, "a.txt"), "one\n");
  await git(clone, ["add", "-A"]);
  await git(clone, ["commit", "-q", "-m", "one"]);
  await Bun.write(join(dir, "secret.txt"), "a secret of the host\n");
  await Bun.write(join(dir, "tools/bin/greet"), "#!/bin/sh\necho greetings\n");
  await chmod(join(dir, "tools/bin/greet"), 0o755);
  jail = createJail({ mode: "bwrap", dir: join(dir, "jail") });
});

afterAll(() => rm(dir, { recursive: true, force: true }));

/** `without`: the arguments of bubblewrap, next to each other, that a control leaves out. */
async function inside(
  script: string,
  wish: Partial<JailSpec> = {},
  without: readonly string[] = [],
) {
  const spec = { clone, home, gatewaySocket: null, egressSocket: null, read: [], env: {}, ...wish };
  const command = jail.command(spec, "/bin/bash", ["-c", script]);
  const at = command.args.findIndex((_, index) =>
    without.every((arg, next) => command.args[index + next] === arg),
  );
  if (at < 0) throw new Error(`the jail has no ${without.join(" ")}`);
  const child = Bun.spawn([command.file, ...command.args.toSpliced(at, without.length)], {
    cwd: command.cwd,
    env: { ...command.env },
    stderr: "pipe",
  });
  const [out, error, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { out: out.trim(), error: error.trim(), code };
}

describe("the check", () => {
  test("says ok after a jailed command has looked around", async () => {
    expect(await jail.check()).toEqual({ ok: true });
  });

  test("says what to install when bubblewrap is missing", async () => {
    const without = createJail({ mode: "bwrap", dir: join(dir, "jail"), bwrap: "/none/bwrap" });

    const check = await without.check();

    expect(check).toEqual({
      ok: false,
      problem: expect.stringContaining("bubblewrap is not installed"),
      remedy: expect.stringContaining("apt-get install bubblewrap"),
    });
  });

  test.each([
    [
      "bwrap: No permissions to create new namespace",
      "may not create namespaces",
      "user namespaces",
    ],
    ["bwrap: Unknown option --size", "did not start", "0.8 or newer"],
  ])("explains a refusal: %s", async (words, problem, remedy) => {
    const refusing = join(dir, `bwrap-${Bun.hash(words)}`);
    await Bun.write(refusing, `#!/bin/sh\necho '${words}' >&2\nexit 1\n`);
    await chmod(refusing, 0o755);

    const check = await createJail({
      mode: "bwrap",
      dir: join(dir, "jail"),
      bwrap: refusing,
    }).check();

    expect(check).toEqual({
      ok: false,
      problem: expect.stringContaining(problem),
      remedy: expect.stringContaining(remedy),
    });
  });

  test("notices a sandbox that confines nothing", async () => {
    const open = join(dir, "bwrap-open");
    await Bun.write(
      open,
      '#!/bin/bash\nwhile [ "$1" != -- ]; do shift; done; shift\nHOME=/tmp exec "$@"\n',
    );
    await chmod(open, 0o755);

    const check = await createJail({ mode: "bwrap", dir: join(dir, "jail"), bwrap: open }).check();

    expect(check).toMatchObject({ ok: false, problem: expect.stringContaining("visible") });
  });

  test("needs setpriv only when there is no sandbox", async () => {
    expect(await createJail({ mode: "none", dir }).check()).toEqual({ ok: true });
  });
});

describe("inside the jail", () => {
  test("a file of the host is not there, whatever path leads to it", async () => {
    const seen = await inside(
      `cat ${dir}/secret.txt /proc/1/root${dir}/secret.txt; ls /root /srv /var /etc/shadow; ls /home`,
    );

    expect(seen.out).toBe("agent");
    expect(seen.error).not.toContain("a secret of the host");
  });

  test("only the clone, the home, /tmp, /run and /dev/shm can be written", async () => {
    const places =
      "/clone /home/agent /tmp /run / /usr /etc /opt /proc/sys/kernel /var /dev /dev/shm /dev/pts";

    const seen = await inside(
      `for d in ${places}; do touch $d/x 2>/dev/null && echo $d; done; true`,
    );

    expect(seen.out.split("\n")).toEqual([
      ...["/clone", "/home/agent", "/tmp", "/run", "/dev/shm"],
    ]);
  });

  test("what lies in memory is bounded, and so are files and processes", async () => {
    const seen = await inside(
      "df --output=target,size -B1 /tmp /run /dev/shm | tail -n +2 | tr -s ' '; ulimit -Hc; ulimit -Hf; ulimit -Hu; echo x > /dev/null",
    );

    const limits = ["0", String((8 * 1024 ** 3) / 1024), "4096"];
    expect(seen).toMatchObject({ code: 0, error: "" });
    expect(seen.out.split("\n")).toEqual([
      ...[`/tmp ${2 * 1024 ** 3}`, `/run ${16 * 1024 ** 2}`, `/dev/shm ${512 * 1024 ** 2}`],
      ...limits,
    ]);
  });

  // Asks for permission only and never writes: a write that got through would change the host.
  test("no kernel setting is writable, also for root", async () => {
    const seen = await inside(
      "find /proc/sys /proc/sysrq-trigger /proc/irq /proc/bus -writable 2>/dev/null; mount | grep ' /proc '; true",
    );

    expect(seen.out).toMatch(/^proc on \/proc type proc \(ro,[^\n]*$/);
  });

  test("/etc holds one account, localhost and no name server", async () => {
    const seen = await inside(
      "id -un; getent hosts localhost; ls /etc; ls /etc/resolv.conf /etc/ssl/private",
    );

    const [user, localhost, ...names] = seen.out.split("\n");
    expect(user).toBe(process.getuid?.() === 0 ? "root" : "agent");
    expect(localhost).toContain("localhost");
    expect(names).not.toContain("shadow");
    expect(names).not.toContain("resolv.conf");
    expect(names).not.toContain("npmrc");
    expect(seen.error).toContain("/etc/ssl/private");
  });

  test("the environment is what was given and what the jail sets, nothing of the service", async () => {
    const seen = await inside(
      "for e in 'env -0' 'cat /proc/1/environ'; do $e | tr '\\0' '\\n' | cut -d= -f1 | sort | tr '\\n' ' '; echo; done",
      {
        env: { GIVEN: "yes" },
      },
    );

    const [own = "", first = ""] = seen.out.split("\n");
    expect(own.trim()).toBe("CLAUDE_HOOKS_JAIL GIVEN HOME PATH PWD SHLVL TMPDIR _");
    expect(first.trim()).toBe("CLAUDE_HOOKS_JAIL GIVEN HOME PATH PWD TMPDIR");
  });

  test("only its own processes are visible", async () => {
    await using canary = canaryProcess();

    const seen = await inside(`ls /proc | grep -cE '^[0-9]+$'; ${canary.search}`);

    const [count, ...found] = seen.out.split("\n");
    expect(Number(count)).toBeLessThan(10);
    expect(found).toEqual([]);
  });

  test("the loopback of the host is out of reach", async () => {
    using server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("host") });

    const seen = await inside(knockAt(server.port));

    expect(seen.out).toBe("");
    expect(seen.error).toContain("Connection refused");
  });

  test("capabilities are gone and cannot be had", async () => {
    const seen = await inside(
      "grep CapEff /proc/self/status; mount -t tmpfs none /clone 2>&1; unshare -r -m true 2>&1 || true",
    );

    expect(seen.out).toContain("CapEff:\t0000000000000000");
    expect(seen.out).toMatch(/permission denied|must be superuser/i);
  });

  test("a path of `read` is there at the same place, read-only, its bin in PATH", async () => {
    const seen = await inside(`greet; touch ${dir}/tools/x`, { read: [join(dir, "tools")] });

    expect(seen.out).toBe("greetings");
    expect(seen.error).toContain("Read-only file system");
  });

  test("without an egress socket no proxy is named; with one both are", async () => {
    const without = await inside("env | grep -ic proxy; true");
    using server = Bun.serve({ unix: join(dir, "e.sock"), fetch: () => new Response("egress") });
    const egress = { egressSocket: join(dir, "e.sock") };
    const withOne = await inside("echo $HTTPS_PROXY $NO_PROXY; curl -s http://some.host/", egress);

    expect(without.out).toBe("0");
    expect(withOne.out).toBe("http://127.0.0.1:8081 127.0.0.1,localhost,::1\negress");
    await server.stop(true);
  });

  test("the gateway's socket answers on loopback before the command starts", async () => {
    using server = Bun.serve({ unix: join(dir, "g.sock"), fetch: () => new Response("gateway") });

    const seen = await inside("curl -s http://127.0.0.1:8080/", {
      gatewaySocket: join(dir, "g.sock"),
    });

    expect(seen.out).toBe("gateway");
    await server.stop(true);
  });

  test("a program outside /usr is mounted at a place of its own", async () => {
    const spec = { clone, home, gatewaySocket: null, egressSocket: null, read: [], env: {} };
    const command = jail.command(spec, join(dir, "tools/bin/greet"), []);

    const child = Bun.spawn([command.file, ...command.args], { env: { ...command.env } });

    expect(await new Response(child.stdout).text()).toBe("greetings\n");
    expect(command.args).toContain("/opt/greet");
  });
});

// Each leaves one thing out of the jail and looks; none of them writes or changes anything.
describe("control: the same look", () => {
  test("shows a file of the host where its directory is mounted", async () => {
    const seen = await inside(`cat ${dir}/secret.txt`, { read: [dir] });

    expect(seen.out).toBe("a secret of the host");
  });

  test("shows a process of the host where the jail has no PID namespace of its own", async () => {
    await using canary = canaryProcess();

    const seen = await inside(canary.search, {}, ["--unshare-pid"]);

    expect(seen.out).toContain(`/proc/${canary.pid}/cmdline`);
  });

  test("reaches the loopback of the host where the jail has no network of its own", async () => {
    using server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("host") });

    const seen = await inside(knockAt(server.port), {}, ["--unshare-net"]);

    expect(seen.out).toBe("reached");
  });

  // Nobody else has them to begin with.
  test.skipIf(process.getuid?.() !== 0)(
    "finds kernel settings and capabilities where /proc stays as it is and none are dropped",
    async () => {
      const settings = await inside("find /proc/sys /proc/sysrq-trigger -writable", {}, [
        ...["--remount-ro", "/proc"],
      ]);
      const capabilities = await inside("grep CapEff /proc/self/status", {}, ["--cap-drop", "ALL"]);

      expect(settings.out).toContain("/proc/");
      expect(capabilities.out).not.toContain("CapEff:\t0000000000000000");
    },
  );
});

/** Says a word when something answers on the host's loopback. */
const knockAt = (port: number | undefined): string =>
  `exec 3<>/dev/tcp/127.0.0.1/${port} && echo reached`;

/** A process of the host with arguments of its own, and how to look for it without finding the look. */
function canaryProcess(): { pid: number; search: string } & AsyncDisposable {
  const mark = `8${Date.now()}`;
  const child = Bun.spawn(["sleep", mark]);
  return {
    pid: child.pid,
    search: `grep -la 'slee[p].${mark}' /proc/[0-9]*/cmdline 2>/dev/null; true`,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}

describe("git in the clone", () => {
  test("add -A, commit, branch, rebase and stash work", async () => {
    const script = `set -e
      git checkout -q -b boss/1; echo two > b.txt; git add -A; git commit -q -m two
      git checkout -q main; echo three > c.txt; git add -A; git commit -q -m three
      git checkout -q boss/1; git rebase -q main; echo x >> a.txt; git stash -q; git stash pop -q
      git log --format=%s; git status --porcelain`;

    const seen = await inside(script);

    expect(seen).toMatchObject({ code: 0, out: "two\nthree\none\n M a.txt" });
  });

  test.each([
    ["write the configuration", "git config core.hooksPath /tmp"],
    ["replace the configuration", "echo x > /tmp/c && mv /tmp/c .git/config"],
    ["remove the configuration", "rm -f .git/config"],
    ["plant a hook", "echo x > .git/hooks/pre-commit"],
    ["replace the hooks", "mv .git/hooks .git/h"],
    ["replace .git", "mv .git g"],
  ])("an agent cannot %s", async (_what, script) => {
    const before = await readFile(join(clone, ".git/config"), "utf8");

    const seen = await inside(script);

    expect(seen.code).not.toBe(0);
    expect(await readFile(join(clone, ".git/config"), "utf8")).toBe(before);
  });

  test("hooks stay out of reach in a clone that came without the directory", async () => {
    await rm(join(clone, ".git/hooks"), { recursive: true });

    const seen = await inside("echo x > .git/hooks/pre-commit");

    expect(seen.code).not.toBe(0);
  });
});

describe("without a sandbox", () => {
  test("the command runs at the host's paths with the given environment only", async () => {
    const plain = createJail({ mode: "none", dir });
    const spec = {
      clone,
      home,
      gatewaySocket: null,
      egressSocket: null,
      read: [],
      env: { GIVEN: "yes" },
    };

    const command = plain.command(spec, "/usr/bin/env", []);
    const child = Bun.spawn([command.file, ...command.args], {
      cwd: command.cwd,
      env: { ...command.env },
    });
    const names = (await new Response(child.stdout).text())
      .split("\n")
      .map((line) => line.split("=")[0]);

    expect(names).toEqual(expect.arrayContaining(["GIVEN", "HOME", "PATH"]));
    expect(names.filter((name) => name?.startsWith("BUN"))).toEqual([]);
    expect(command.inside).toEqual({ clone, home, gatewayUrl: null });
  });
});

// Only root can become somebody else.
describe.skipIf(process.getuid?.() !== 0)("as a user without rights", () => {
  test("the jail starts through a user namespace", async () => {
    const place = await mkdtemp("/tmp/ch-user-");
    await chmod(place, 0o777);
    const script = `import { createJail } from ${JSON.stringify(join(import.meta.dir, "../../src/sandbox/create-jail.ts"))};
      console.log(JSON.stringify(await createJail({ mode: "bwrap", dir: ${JSON.stringify(join(place, "jail"))} }).check()));`;
    await Bun.write(join(place, "check.ts"), script);

    const child = Bun.spawn(
      [
        "setpriv",
        "--reuid",
        "4321",
        "--regid",
        "4321",
        "--clear-groups",
        process.execPath,
        join(place, "check.ts"),
      ],
      { env: { PATH: "/usr/local/bin:/usr/bin:/bin", HOME: place }, stderr: "pipe" },
    );
    const out = await new Response(child.stdout).text();

    expect(JSON.parse(out)).toEqual({ ok: true });
    await rm(place, { recursive: true, force: true });
  });
});
