import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { join } from "node:path";
import { openStore } from "../../src/store/open-store.ts";
import { tempDirectory } from "../support/config-fixture.ts";

test("a lock of another process is waited for without holding anything else of this one", async () => {
  await using directory = await tempDirectory();
  const path = join(directory.path, "claude-hooks.db");
  const store = await openStore({ path, now: Date.now });
  using other = new Database(path);
  other.run("begin exclusive");
  let turns = 0;
  const turning = setInterval(() => {
    turns += 1;
    // A second later, in turns of this process and not by the clock: it must go on meanwhile.
    if (turns === 50) other.run("rollback");
  }, 20);

  await Promise.all([
    store.meta.set("one", "1"),
    store.work.mark([{ repo: "acme/widgets", target: { kind: "number", number: 1 } }], true),
  ]);
  clearInterval(turning);

  expect(turns).toBeGreaterThanOrEqual(50);
  expect(await store.meta.get("one")).toBe("1");
  await store.close();
}, 15_000);
