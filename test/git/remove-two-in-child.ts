import { existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import { removeTree } from "../../src/git/remove-tree.ts";

/**
 * Removes both trees at once and prints how often a file could be looked at while both were there. To
 * be started with UV_THREADPOOL_SIZE=2: the file system is asked by as many threads then.
 */
const [one = "", other = ""] = process.argv.slice(2);
const removed = Promise.all([removeTree(one), removeTree(other)]);
let looks = 0;
while (existsSync(one) && existsSync(other)) {
  await stat(import.meta.path);
  if (existsSync(one) && existsSync(other)) looks += 1;
}
await removed;
process.stdout.write(String(looks));
