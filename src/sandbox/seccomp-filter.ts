/** System call numbers that differ by machine (Linux asm/unistd_64.h and asm-generic/unistd.h). */
const MACHINES: Partial<Record<string, Machine>> = {
  x64: { audit: 0xc000003e, ptrace: 101, readMemory: 310, writeMemory: 311 },
  arm64: { audit: 0xc00000b7, ptrace: 117, readMemory: 270, writeMemory: 271 },
};

interface Machine {
  /** AUDIT_ARCH_* of linux/audit.h. */
  readonly audit: number;
  readonly ptrace: number;
  readonly readMemory: number;
  readonly writeMemory: number;
}

const PIDFD_GETFD = 438;
/** From here on, x86_64 means the x32 way of calling, with numbers of its own. */
const X32_BIT = 0x40000000;
const PTRACE_ATTACH = 16;
const PTRACE_SEIZE = 0x4206;

const [LOAD, EQUAL, AT_LEAST, RETURN] = [0x20, 0x15, 0x35, 0x06];
const ALLOW = 0x7fff0000;
/** SECCOMP_RET_ERRNO with EPERM. */
const DENY = 0x00050001;
/** Offsets in struct seccomp_data; of the argument its lower half (both machines are little-endian). */
const [NUMBER, ARCHITECTURE, FIRST_ARGUMENT] = [0, 4, 16];

/**
 * A filter (classic BPF, linux/seccomp.h) that keeps the processes of one jail apart: an agent's
 * shell and its CLI belong to one user, and the shell took the CLI's stdout by pidfd_getfd and spoke
 * in its name (measured). Refused with EPERM: pidfd_getfd, process_vm_readv and _writev, ptrace of a
 * process that runs already (a debugger may still start its own), and every call of another
 * architecture (32-bit programs do not run). /proc/<pid>/mem is closed by /proc being read-only.
 * Null for a machine whose numbers are not known here.
 */
export function seccompFilter(arch: string): Uint8Array | null {
  const machine = MACHINES[arch];
  if (machine === undefined) return null;
  const program = [
    [LOAD, 0, 0, ARCHITECTURE],
    [EQUAL, 0, 10, machine.audit],
    [LOAD, 0, 0, NUMBER],
    [AT_LEAST, 8, 0, X32_BIT],
    [EQUAL, 7, 0, PIDFD_GETFD],
    [EQUAL, 6, 0, machine.readMemory],
    [EQUAL, 5, 0, machine.writeMemory],
    [EQUAL, 0, 3, machine.ptrace],
    [LOAD, 0, 0, FIRST_ARGUMENT],
    [EQUAL, 2, 0, PTRACE_ATTACH],
    [EQUAL, 1, 0, PTRACE_SEIZE],
    [RETURN, 0, 0, ALLOW],
    [RETURN, 0, 0, DENY],
  ] as const;
  const bytes = Buffer.alloc(program.length * 8);
  for (const [index, [code, ifTrue, ifFalse, value]] of program.entries()) {
    bytes.writeUInt16LE(code, index * 8);
    bytes.writeUInt8(ifTrue, index * 8 + 2);
    bytes.writeUInt8(ifFalse, index * 8 + 3);
    bytes.writeUInt32LE(value, index * 8 + 4);
  }
  return bytes;
}
