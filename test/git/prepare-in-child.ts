import { join } from "node:path";
import { createGit } from "../../src/git/create-git.ts";
import { IDENTITY, ITEM, recordingLog } from "./workbench.ts";

const LIFE_MS = 60_000;

/**
 * Run as a process by the tests that kill: prepares the clones of the work items that are named, of 42
 * when none is, and says so. With names spares are made, and the process lives until it is killed.
 */
const [, , stateDir = "", origin = "", searchPath = "", ...numbers] = process.argv;
const git = createGit({
  stateDir,
  remoteUrl: () => origin,
  credential: () => null,
  searchPath,
  ...(numbers.length === 0 ? {} : { spareAfterMs: 0 }),
  now: Date.now,
  log: recordingLog([]),
});
const order = { agent: "boss", base: "main", at: null, identity: IDENTITY, run: "r1" };
console.log("preparing");
for (const number of numbers.length === 0 ? [ITEM.number] : numbers.map(Number)) {
  await git.prepare({ ...order, item: { ...ITEM, number }, branch: `boss/${number}` });
  const spare = join(stateDir, "work/.spare", ITEM.repo);
  while (numbers.length > 1 && !(await Bun.file(join(spare, "index")).exists())) await Bun.sleep(5);
}
console.log("prepared");
if (numbers.length > 0) await Bun.sleep(LIFE_MS);
