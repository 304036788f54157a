import { dlopen, FFIType, read } from "bun:ffi";

/** The C library by its names: glibc, musl on its two usual processors, and whatever the linker calls it. */
const LIBRARIES = ["libc.so.6", `libc.musl-${muslName()}.so.1`, "libc.so"] as const;

const SYMBOLS = {
  flock: { args: [FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  // The same name in glibc and musl; `errno` itself is a macro.
  __errno_location: { args: [], returns: FFIType.ptr },
} as const;

/** flock(2), its numbers the same on every Linux: exclusive, and not waiting. */
const LOCK_EX = 2;
const LOCK_NB = 4;

/**
 * Takes the exclusive lock of an open file without waiting, because neither Node nor Bun has flock.
 * Null: it is held now, until the last descriptor of this opening is closed; else the errno
 * (EWOULDBLOCK: somebody else holds it). Throws when no C library can be loaded.
 */
export function tryFlock(file: number): number | null {
  const library = openLibrary(LIBRARIES);
  try {
    const { flock, __errno_location: errnoLocation } = library.symbols;
    if (flock(file, LOCK_EX | LOCK_NB) === 0) return null;
    const location = errnoLocation();
    return location === null ? 0 : read.i32(location, 0);
  } finally {
    library.close();
  }
}

function openLibrary(names: readonly string[]): ReturnType<typeof dlopen<typeof SYMBOLS>> {
  const problems: string[] = [];
  for (const name of names) {
    try {
      return dlopen(name, SYMBOLS);
    } catch (error) {
      problems.push(error instanceof Error ? error.message : String(error));
    }
  }
  throw new Error(`no C library with flock: ${problems.join("; ")}`);
}

function muslName(): string {
  return process.arch === "arm64" ? "aarch64" : "x86_64";
}
