import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { createJail } from "../../src/sandbox/create-jail.ts";
import { seccompFilter } from "../../src/sandbox/seccomp-filter.ts";
import { bareSpec } from "../support/agent-world.ts";

let dir = "";
beforeAll(async () => {
  dir = await mkdtemp("/tmp/ch-seccomp-");
  await Promise.all([mkdir(join(dir, "clone")), mkdir(join(dir, "home"))]);
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const numbers = process.arch === "arm64" ? [117, 270, 271] : [101, 310, 311];
const [PTRACE = 0, READ = 0, WRITE = 0] = numbers;

/** Each line names a call and says whether the kernel let it through, from one process to another. */
const PERL = `
use strict; my $p = fork() // die; if (!$p) { sleep 60; exit }
sub note { my ($name, $r) = @_; print $name, $r < 0 ? " refused $!{EPERM}" : " done", "\\n" }
my $iov = pack("QQ", unpack("Q", pack("P", my $b = "x" x 8)), 1);
my $from = pack("QQ", unpack("Q", pack("P", $b)), 1);
my $fd = syscall(434, $p, 0); note("pidfd_open", $fd);
note("pidfd_getfd", syscall(438, $fd, 1, 0));
note("process_vm_readv", syscall(${READ}, $p, $iov, 1, $from, 1, 0));
note("process_vm_writev", syscall(${WRITE}, $p, $iov, 1, $from, 1, 0));
note("attach", syscall(${PTRACE}, 16, $p, 0, 0));
note("seize", syscall(${PTRACE}, 0x4206, $p, 0, 0));
my $c = fork() // die; if (!$c) { exit(syscall(${PTRACE}, 0, 0, 0, 0) < 0 ? 1 : 0) }
waitpid($c, 0); print "traceme ", $? == 0 ? "done" : "refused", "\\n";
print "mem ", open(my $m, "+<", "/proc/$p/mem") ? "open" : "refused", "\\n";
kill 9, $p;
`;

/** With a number put in the way of `--seccomp`, the jail starts without the filter. */
async function inside(isFiltered: boolean): Promise<readonly string[]> {
  const jail = createJail({ mode: "bwrap", dir: join(dir, "jail") });
  const spec = bareSpec(join(dir, "clone"), join(dir, "home"));
  const { file, args, env } = jail.command(spec, "perl", ["-e", PERL]);
  const kept = isFiltered ? args : args.toSpliced(args.indexOf("--seccomp"), 2);
  const child = Bun.spawn([file, ...kept], { cwd: "/", env: { ...env } });
  return (await new Response(child.stdout).text()).trim().split("\n");
}

describe("processes of one jail", () => {
  test("cannot reach into each other, and may still trace what they start", async () => {
    expect(await inside(true)).toEqual([
      "pidfd_open done",
      ...["pidfd_getfd", "process_vm_readv", "process_vm_writev", "attach", "seize"].map(
        (name) => `${name} refused 1`,
      ),
      "traceme done",
      "mem refused",
    ]);
  });

  test("control: without the filter they could", async () => {
    const seen = await inside(false);

    expect(seen).toEqual(
      expect.arrayContaining([
        ...["pidfd_getfd", "process_vm_readv", "process_vm_writev", "attach"].map(
          (name) => `${name} done`,
        ),
      ]),
    );
  });

  // 32-bit code needs no library for this: mov eax,20 (getpid); int 0x80; and the exit code says whether it was refused.
  test.skipIf(process.arch !== "x64")("cannot go round it by another architecture", async () => {
    const code = "b814000000cd8089c3c1eb1f83e301b83c00000089df0f05";
    await Bun.write(join(dir, "clone/int80"), elf(Buffer.from(code, "hex")));
    const jail = createJail({ mode: "bwrap", dir: join(dir, "jail") });
    const spec = bareSpec(join(dir, "clone"), join(dir, "home"));
    const { file, args, env } = jail.command(spec, "/bin/sh", [
      "-c",
      "chmod +x int80; ./int80; echo $?",
    ]);
    const run = async (given: readonly string[]): Promise<string> => {
      const child = Bun.spawn([file, ...given], { cwd: "/", env: { ...env } });
      return (await new Response(child.stdout).text()).trim();
    };

    expect(await run(args)).toBe("1");
    expect(await run(args.toSpliced(args.indexOf("--seccomp"), 2))).toBe("0");
  });

  test.each([
    ["x64", 13 * 8],
    ["arm64", 13 * 8],
  ])("the filter of %s is whole", (arch, bytes) => {
    expect(seccompFilter(arch)).toHaveLength(bytes);
  });

  test("an unknown machine has none", () => {
    expect(seccompFilter("riscv64")).toBeNull();
  });
});

/** The smallest ELF64 file that runs `code`. */
function elf(code: Buffer): Buffer {
  const head = Buffer.alloc(120);
  head.write("\x7fELF\x02\x01\x01", 0, "latin1");
  head.writeUInt16LE(2, 16);
  head.writeUInt16LE(62, 18);
  head.writeUInt32LE(1, 20);
  head.writeBigUInt64LE(0x400078n, 24);
  head.writeBigUInt64LE(64n, 32);
  head.writeUInt16LE(64, 52);
  head.writeUInt16LE(56, 54);
  head.writeUInt16LE(1, 56);
  head.writeUInt32LE(1, 64);
  head.writeUInt32LE(5, 68);
  head.writeBigUInt64LE(0x400000n, 80);
  head.writeBigUInt64LE(0x400000n, 88);
  head.writeBigUInt64LE(BigInt(120 + code.length), 96);
  head.writeBigUInt64LE(BigInt(120 + code.length), 104);
  head.writeBigUInt64LE(0x1000n, 112);
  return Buffer.concat([head, code]);
}
