import { describe, expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createCloneUses } from "../../src/git/clone-uses.ts";
import { GitFailure } from "../../src/ports/git.ts";
import { createProcesses } from "../../src/sandbox/create-processes.ts";
import { commit, ITEM, sh, workbench } from "./workbench.ts";

const DEADLINE_MS = 10_000;

async function until(isSo: () => Promise<boolean> | boolean): Promise<void> {
  const end = performance.now() + DEADLINE_MS;
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error("not in time");
    await Bun.sleep(5);
  }
}

/** A process that works in the clone until it is killed. */
async function childIn(path: string) {
  const child = Bun.spawn(["sleep", "60"], { cwd: path });
  const processes = createProcesses();
  const identity = processes.identify(child.pid);
  if (identity === null) throw new Error("no child");
  return { child, isAlive: () => processes.isAlive(identity) };
}

describe("a clone in use", () => {
  test("is not removed before its child is gone, although its run has given it back", async () => {
    await using bench = await workbench();
    const use = await bench.git.use(ITEM, "boss");
    const { path } = await bench.git.prepare(bench.order());
    const { child, isAlive } = await childIn(path);
    use.child(isAlive);
    use.release();
    let removed: number | null = null;
    const removing = bench.git.removeClones(ITEM).then((count) => {
      removed = count;
    });

    expect(await bench.git.removeClone(ITEM, "boss")).toBe(false);
    // Long enough for any removal that does not wait.
    await Bun.sleep(300);
    expect(removed).toBeNull();
    expect(await Bun.file(join(path, "README.md")).exists()).toBe(true);

    child.kill("SIGKILL");
    await removing;
    expect(removed as number | null).toBe(1);
    expect(await Bun.file(join(path, "README.md")).exists()).toBe(false);
  }, 20_000);

  test("is not given to the next run before the last one has given it back", async () => {
    await using bench = await workbench();
    const first = await bench.git.use(ITEM, "boss");
    const told: string[] = [];
    const next = bench.git.use(ITEM, "boss").then((use) => {
      told.push("next");
      return use;
    });
    const other = await bench.git.use(ITEM, "reviewer");
    await Bun.sleep(100);
    expect(told).toEqual([]);
    first.release();
    (await next).release();
    other.release();
    expect(told).toEqual(["next"]);
  });

  test("is waited for, but not for ever", async () => {
    const uses = createCloneUses(50);
    const first = await uses.take("/clone");
    const failure = await uses.take("/clone").catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(GitFailure);
    expect(failure).toMatchObject({ kind: "timeout" });
    expect(uses.tryTake("/clone")).toBeNull();
    first.release();
    expect(uses.tryTake("/clone")).not.toBeNull();
  });

  test("given back twice does not take it from somebody else", async () => {
    const uses = createCloneUses(50);
    const first = await uses.take("/clone");
    first.release();
    await uses.take("/clone");
    first.release();
    expect(uses.tryTake("/clone")).toBeNull();
  });
});

describe("a clone that is removed to make room", () => {
  test("leaves commits that no remote has in the cache, and the next clone is told", async () => {
    await using bench = await workbench();
    const { path } = await bench.git.prepare(bench.order());
    const sha = await commit(path, { "work.txt": "mine\n" }, "Not pushed");
    await writeFile(join(path, "loose.txt"), "lost\n");

    expect(await bench.git.removeClone(ITEM, "boss")).toBe(true);

    await until(async () => !(await Bun.file(join(path, "work.txt")).exists()));
    const again = await bench.restart().prepare(bench.order());
    expect(again).toMatchObject({ fresh: true, kept: "refs/claude-hooks/removed-boss-42" });
    const cache = join(bench.stateDir, "cache/acme/widgets.git");
    expect(await sh(cache, ["rev-parse", again.kept ?? ""])).toBe(sha);
    expect(await sh(cache, ["show", `${again.kept}:work.txt`])).toBe("mine");
  });

  test("with nothing of its own leaves nothing to tell", async () => {
    await using bench = await workbench();
    await bench.git.prepare(bench.order());
    expect(await bench.git.removeClone(ITEM, "boss")).toBe(true);
    expect(await bench.git.removeClone(ITEM, "boss")).toBe(true);
    expect(await bench.git.prepare(bench.order())).toMatchObject({ fresh: true, kept: null });
  });
});

test("sizes are counted by clone, by repository and in all", async () => {
  await using bench = await workbench();
  const { path } = await bench.git.prepare(bench.order());
  await bench.git.prepare(bench.order({ agent: "reviewer" }));
  await writeFile(join(path, "big.bin"), Buffer.alloc(3_000_000, 1));
  await sh(path, ["init", "-q", "nested"]);
  await writeFile(join(path, "nested", "line\nbreak\t9"), "x");

  const { total, repositories, clones } = await bench.git.sizes();

  expect(clones.map(({ item, agent }) => [item, agent]).toSorted()).toEqual([
    [ITEM, "boss"],
    [ITEM, "reviewer"],
  ]);
  const big = clones.find(({ agent }) => agent === "boss")?.bytes ?? 0;
  const small = clones.find(({ agent }) => agent === "reviewer")?.bytes ?? 0;
  expect(big - small).toBeGreaterThan(2_900_000);
  const repository = repositories.get("acme/widgets") ?? 0;
  expect([...repositories.keys()]).toEqual(["acme/widgets"]);
  expect(repository).toBeGreaterThan(big + small);
  expect(total).toBeGreaterThan(repository - 1);
});
