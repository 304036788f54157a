import { createHash } from "node:crypto";
import { rm, statfs, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ProbeAnswer } from "../ports/gates.ts";
import { isOfFullDisk } from "../ports/store/failure.ts";
import type { MetaStore } from "../ports/store/meta.ts";

/** Less room than this counts as a full disk: a clone and a transcript need some. */
const DISK_BYTES_MIN = 32 * 1024 * 1024;
const TRIAL_BYTES = 64 * 1024;
/** What is written into the database to find out whether anything can be. */
const TRIAL_KEY = "disk:trial";

const FULL: ProbeAnswer = { ok: false, reason: "full", until: null };

/** Whether there is room in the state directory and for the database, wherever that is. */
export async function probeDisk(parts: {
  readonly stateDir: string;
  readonly store: { readonly meta: MetaStore };
}): Promise<ProbeAnswer> {
  const answer = await probeDirectory(parts.stateDir);
  return answer.ok ? await probeDatabase(parts.store.meta) : answer;
}

async function probeDirectory(stateDir: string): Promise<ProbeAnswer> {
  const { bavail, bsize } = await statfs(stateDir);
  if (bavail * bsize < DISK_BYTES_MIN) return FULL;
  const path = join(stateDir, `.trial.${process.pid}`);
  try {
    await writeFile(path, Buffer.alloc(TRIAL_BYTES), { mode: 0o600, flush: true });
    return { ok: true };
  } catch {
    // Whatever is the matter: nothing can be written.
    return FULL;
  } finally {
    await rm(path, { force: true });
  }
}

/** A database that is away is no matter of its disk: then nothing is known, and nothing can begin anyway. */
async function probeDatabase(meta: MetaStore): Promise<ProbeAnswer> {
  try {
    await meta.set(TRIAL_KEY, incompressible(TRIAL_BYTES));
    await meta.remove(TRIAL_KEY);
    return { ok: true };
  } catch (error) {
    return isOfFullDisk(error) ? FULL : { ok: true };
  }
}

/** PostgreSQL would make a few bytes of any other text of this length. */
function incompressible(bytes: number): string {
  const outputLength = (bytes / 4) * 3;
  return createHash("shake256", { outputLength }).update(TRIAL_KEY).digest("base64");
}
