import { mkdir, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { createGit } from "../src/git/create-git.ts";
import { median } from "./median.ts";

const FILES = 5000;
const FILES_PER_DIRECTORY = 50;
const ROUNDS = 5;
/** Checkouts on a disk measure the disk, too (5,000 files took 0.1 s on one and 3.5 s on another). */
const MEMORY = "/dev/shm";
const PATIENCE_MS = 60_000;

/**
 * How long a run waits for its clone of a repository of 5,000 files. `cold`: nothing is there. `cached`:
 * another item, the cache is there. `prepared`: a spare work tree, too. `moved`: the spare is of an older
 * base. `second`, `later`: the item's own clone after a push, the first time and the next. In memory and
 * on the disk. Prints medians, and the median of the ratios to `cold` of the same round.
 */
async function main(): Promise<void> {
  for (const place of [MEMORY, tmpdir()]) {
    console.log(`-- in ${place}`);
    await measure(place);
  }
}

async function measure(place: string): Promise<void> {
  const dir = await mkdtemp(join(place, "claude-hooks-bench-"));
  try {
    const origin = await makeOrigin(dir);
    const times: Record<"cold" | "cached" | "prepared" | "moved" | "second" | "later", number[]> = {
      cold: [],
      cached: [],
      prepared: [],
      moved: [],
      second: [],
      later: [],
    };
    for (let round = 1; round <= ROUNDS; round += 1) {
      const stateDir = join(dir, `state-${round}`);
      await mkdir(stateDir);
      const ignore = (): void => undefined;
      const git = createGit({
        stateDir,
        remoteUrl: () => origin.bare,
        credential: () => null,
        spareAfterMs: 0,
        now: Date.now,
        log: { debug: ignore, info: ignore, warn: console.error, error: console.error },
      });
      const prepare = async (number: number, run: string): Promise<number> => {
        const start = performance.now();
        await git.prepare({
          item: { repo: "acme/widgets", number },
          agent: "boss",
          base: "main",
          branch: `boss/${number}`,
          at: null,
          identity: { name: "boss", email: "boss@example.org" },
          run,
        });
        return performance.now() - start;
      };
      // No spare is made while something is measured.
      git.allowSpares(() => false);
      times.cold.push(await prepare(1, "a"));
      times.cached.push(await prepare(2, "b"));
      // Git knows whole seconds: files as young as their index are read anew, as in the second run;
      // what that writes down is of a later second, for no two runs of a clone fall in one.
      await Bun.sleep(1100);
      await origin.push(`round ${round}`);
      times.second.push(await prepare(1, "c"));
      await origin.push(`round ${round} again`);
      times.later.push(await prepare(1, "d"));
      const makeSpare = async (number: number, run: string): Promise<void> => {
        git.allowSpares(() => true);
        await prepare(number, run);
        await until(async () => await isThere(join(stateDir, "work/.spare/acme/widgets")));
        git.allowSpares(() => false);
      };
      await makeSpare(3, "e");
      times.prepared.push(await prepare(4, "f"));
      await makeSpare(5, "g");
      // This spare is of the base as it was before.
      await origin.push(`round ${round} once more`);
      times.moved.push(await prepare(6, "h"));
      await git.close();
    }
    for (const [name, list] of Object.entries(times)) {
      const ratio = median(list.map((ms, round) => ms / (times.cold[round] ?? Number.NaN)));
      const p50 = `${median(list).toFixed(0)} ms`;
      console.log(`${name.padEnd(8)} ${p50.padStart(7)}, ${ratio.toFixed(2)} of cold`);
    }
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error("it took too long");
    await Bun.sleep(10);
  }
}

const isThere = async (path: string): Promise<boolean> =>
  await stat(path).then(
    () => true,
    () => false,
  );

/** A bare repository and a person who pushes to it. */
async function makeOrigin(dir: string) {
  const bare = join(dir, "origin.git");
  const person = join(dir, "person");
  const env = {
    GIT_AUTHOR_NAME: "alice",
    GIT_AUTHOR_EMAIL: "alice@example.org",
    GIT_COMMITTER_NAME: "alice",
    GIT_COMMITTER_EMAIL: "alice@example.org",
    GIT_CONFIG_GLOBAL: "/dev/null",
  };
  const git = async (...args: string[]) => await execa("git", ["-C", person, ...args], { env });
  await execa("git", ["init", "-q", "--bare", "-b", "main", bare]);
  await execa("git", ["init", "-q", "-b", "main", person]);
  for (let at = 0; at < FILES; at += 1) {
    const folder = join(person, `part-${Math.floor(at / FILES_PER_DIRECTORY)}`);
    if (at % FILES_PER_DIRECTORY === 0) await mkdir(folder);
    await writeFile(join(folder, `file-${at}.ts`), `export const value${at} = ${at};\n`.repeat(20));
  }
  await git("add", "-A");
  await git("commit", "-q", "-m", "Start");
  await git("push", "-q", bare, "main");
  return {
    bare,
    push: async (text: string): Promise<void> => {
      await writeFile(join(person, "part-0", "note.txt"), text);
      await git("add", "-A");
      await git("commit", "-q", "-m", text);
      await git("push", "-q", bare, "main");
    },
  };
}

await main();
