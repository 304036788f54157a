import { randomBytes } from "node:crypto";
import { constants, renameSync } from "node:fs";
import { lstat, open, readdir, rename, rm, unlink } from "node:fs/promises";
import { join } from "node:path";

/** The name of the mirror in the state directory. */
const MIRROR_NAME = "sessions.json";

/** A session takes about 250 bytes, so this is a quarter of a million of them. */
const FILE_BYTES_MAX = 64 * 1024 * 1024;

/** What lies at the place of the mirror. */
export type MirrorFound =
  | { readonly kind: "none" }
  | { readonly kind: "text"; readonly text: string; readonly isPrivate: boolean }
  | { readonly kind: "bad"; readonly problem: string };

/** Reads the mirror without following links. Never rejects: what cannot be read is `bad`. */
export async function readMirror(stateDir: string): Promise<MirrorFound> {
  const path = join(stateDir, MIRROR_NAME);
  try {
    // Without O_NONBLOCK a pipe of that name would hold the start for ever.
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    const file = await open(path, flags);
    try {
      const stat = await file.stat();
      if (!stat.isFile()) return { kind: "bad", problem: "it is no ordinary file" };
      if (stat.uid !== process.getuid?.()) {
        return { kind: "bad", problem: `it belongs to another user (uid ${stat.uid})` };
      }
      if (stat.size > FILE_BYTES_MAX) {
        return { kind: "bad", problem: `it is larger than ${FILE_BYTES_MAX} bytes` };
      }
      const bytes = await file.readFile();
      const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
      return { kind: "text", text, isPrivate: (stat.mode & 0o777) === 0o600 };
    } finally {
      await file.close();
    }
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : null;
    if (code === "ENOENT" || code === "ENOTDIR") return { kind: "none" };
    if (code === "ELOOP") return { kind: "bad", problem: "it is a symbolic link" };
    return { kind: "bad", problem: error instanceof Error ? error.message : String(error) };
  }
}

/** Renames the mirror to `sessions.json.bad-<at>` (a link itself, not what it names); resolves with the new path. */
export async function setMirrorAside(stateDir: string, at: number): Promise<string> {
  const path = join(stateDir, MIRROR_NAME);
  const bad = `${path}.bad-${at}`;
  await rename(path, bad);
  return bad;
}

/** A new mirror while it is being written, still beside the old one. */
export interface MirrorDraft {
  append(text: string): Promise<void>;
  /** Makes what was appended durable; nothing can be appended afterwards. */
  finish(): Promise<void>;
  /** Puts the draft in the place of the mirror: a reader sees the old or the new one. Durable only after `syncDirectory`. */
  replace(): void;
  /** Removes the draft; harmless when it has been put in place. */
  discard(): Promise<void>;
}

/** Begins a draft, mode 0600: a file of a random name in the same directory, made anew and never through a link. */
export async function draftMirror(stateDir: string): Promise<MirrorDraft> {
  const path = join(stateDir, MIRROR_NAME);
  const temporary = `${path}.${randomBytes(8).toString("hex")}.tmp`;
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const file = await open(temporary, flags, 0o600);
  let isOpen = true;
  const close = async (): Promise<void> => {
    if (!isOpen) return;
    isOpen = false;
    await file.close();
  };
  return {
    async append(text) {
      await file.writeFile(text);
    },
    async finish() {
      await file.sync();
      await close();
    },
    replace() {
      renameSync(temporary, path);
    },
    async discard() {
      await close();
      await rm(temporary, { force: true });
    },
  };
}

/** Makes the last rename in the state directory durable. */
export async function syncDirectory(stateDir: string): Promise<void> {
  const directory = await open(stateDir, constants.O_RDONLY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** Removes what a killed process left half written: only files named as `draftMirror` names them. Resolves with how many. */
export async function removeStrayTemporaries(stateDir: string): Promise<number> {
  let removed = 0;
  for (const name of await readdir(stateDir)) {
    if (!/^sessions\.json\.[0-9a-f]{16}\.tmp$/.test(name)) continue;
    const path = join(stateDir, name);
    if (!(await lstat(path)).isFile()) continue;
    await unlink(path);
    removed += 1;
  }
  return removed;
}
