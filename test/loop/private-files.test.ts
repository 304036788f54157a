import { expect, test } from "bun:test";
import { chmodSync } from "node:fs";
import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { IMPLEMENTING, steps } from "../support/model-steps.ts";
import { serviceWorld } from "../support/service-world.ts";

/** Every path below the directory that the group or others may do anything with; links have no mode of their own. */
async function openPaths(directory: string): Promise<readonly string[]> {
  const names = await readdir(directory, { recursive: true });
  const found = await Promise.all(
    names.map(async (name) => {
      const stat = await lstat(join(directory, name)).catch(() => null);
      const isOpen = stat !== null && !stat.isSymbolicLink() && (stat.mode & 0o077) !== 0;
      return isOpen ? [`${name} ${(stat.mode & 0o777).toString(8)}`] : [];
    }),
  );
  return found.flat();
}

test("nothing in the state directory is for anybody but the service's user, whatever umask it was started with", async () => {
  const before = process.umask(0o022);
  try {
    await using world = await serviceWorld({ repository: { review: "requested" } });
    world.script(steps(...IMPLEMENTING));
    await world.issue();
    await world.line({ msg: "run ended", outcome: "succeeded" });
    await world.settled(1);

    expect(await openPaths(world.stateDir)).toEqual([]);
    expect((await lstat(world.stateDir)).mode & 0o777).toBe(0o700);
    expect((await readdir(world.stateDir)).length).toBeGreaterThan(5);
  } finally {
    process.umask(before);
  }
}, 40_000);

test("a state directory that others may write is refused with the remedy", async () => {
  await using world = await serviceWorld({ repository: { review: "requested" } });
  await world.service().stop();
  chmodSync(world.stateDir, 0o770);

  await expect(world.startAgain()).rejects.toThrow(
    /may be written by others \(mode 0770\).*chmod 700/,
  );
}, 40_000);
