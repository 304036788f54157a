import { expect, test } from "bun:test";
import { readdir, readFile, readlink, rename } from "node:fs/promises";
import { join } from "node:path";
import {
  commit,
  gitBehind,
  isThere,
  personPushes,
  sh,
  until,
  type Workbench,
  workbench,
} from "./workbench.ts";

const FILES = Object.fromEntries(
  Array.from({ length: 200 }, (_, index) => [`dir-${index % 20}/file-${index}.txt`, `${index}\n`]),
);
/** What git does in a first prepare, the last two at once; the service is killed around each. */
const CALLS = ["init", "fetch", "for-each-ref", "reset", "update-ref"] as const;
const STAGES = CALLS.flatMap((call) => [["before", call] as const, ["after", call] as const]);

test.each(STAGES)(
  "a kill -9 %s git %s leaves nothing that the next prepare stumbles over",
  async (when, call) => {
    await using bench = await workbench();
    const head = await personPushes(bench, { branch: "main", from: "origin/main", files: FILES });
    const { searchPath, reached } = await stoppingGit(bench, when, call);
    const script = join(import.meta.dir, "prepare-in-child.ts");
    const child = Bun.spawn([process.execPath, script, bench.stateDir, bench.origin, searchPath], {
      stdout: "ignore",
    });
    const pid = await reached();
    child.kill("SIGKILL");
    await child.exited;
    process.kill(pid, "SIGKILL");
    // A git that was at work beside it ends by itself; what it still writes would stay until the next start.
    await until(async () => !(await isWorkedIn(bench.root)));

    const made = await bench.git.prepare(bench.order());

    expect(made.headSha).toBe(head);
    expect(await sh(made.path, ["status", "--porcelain"])).toBe("");
    expect(await readdir(join(bench.stateDir, "work/.new"))).toEqual([]);
    await commit(made.path, { more: "1\n" }, "Works");
  },
  30_000,
);

/** Whether a process has its working directory below `root`. */
async function isWorkedIn(root: string): Promise<boolean> {
  const ids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  // A process that has ended meanwhile works nowhere.
  const places = await Promise.all(ids.map((id) => readlink(`/proc/${id}/cwd`).catch(() => "")));
  return places.some((place) => place.startsWith(root));
}

/** A git that stops for good before or after its first call of one kind, and says so in a file. */
async function stoppingGit(
  bench: Workbench,
  when: "before" | "after",
  call: string,
): Promise<{ readonly searchPath: string; readonly reached: () => Promise<number> }> {
  const mark = join(bench.root, "reached");
  const searchPath = await gitBehind(
    bench,
    `if [ "$1" = ${call} ]; then
  ${when === "after" ? `${Bun.which("git")} "$@"` : ":"}
  echo $$ > ${mark}.new && mv ${mark}.new ${mark}
  exec sleep 60
fi`,
  );
  return {
    searchPath,
    reached: async () => {
      await until(async () => await isThere(mark));
      return Number(await readFile(mark, "utf8"));
    },
  };
}

test("a kill -9 between the old and the new .git of a clone is repaired", async () => {
  await using bench = await workbench();
  const { path, headSha } = await bench.git.prepare(bench.order());

  await rename(join(path, ".git"), join(bench.root, "half-way"));

  const again = await bench.restart().prepare(bench.order());

  expect(again).toMatchObject({ headSha, fresh: false, kept: null });
  expect(await sh(path, ["status", "--porcelain"])).toBe("");
});
