import { expect, test } from "bun:test";
import { commit, ITEM, personPushes, sh, workbench } from "./workbench.ts";

/** CLAUDE_HOOKS_LONG=1 plays the fifteen rounds of the long form. */
const ROUNDS = process.env["CLAUDE_HOOKS_LONG"] === "1" ? 15 : 5;
const NUMBERS = Array.from({ length: 16 }, (_, index) => index + 1);
const FILES = Object.fromEntries(
  Array.from({ length: 60 }, (_, index) => [`dir-${index % 6}/file-${index}.txt`, `${index}\n`]),
);

test(`sixteen clones of one repository are prepared at once, ${ROUNDS} rounds, none fails`, async () => {
  await using bench = await workbench();
  let failed = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const files = { ...FILES, "round.txt": `${round}\n` };
    const head = await personPushes(bench, { branch: "main", from: "origin/main", files });
    const settled = await Promise.allSettled(
      NUMBERS.map(
        async (number) =>
          await bench.git.prepare(
            bench.order({ item: { ...ITEM, number }, branch: `boss/${number}` }),
          ),
      ),
    );
    for (const one of settled) {
      if (one.status === "rejected") {
        failed += 1;
        continue;
      }
      expect(one.value.headSha).toBe(head);
      expect(await sh(one.value.path, ["status", "--porcelain"])).toBe("");
      // What an agent does meanwhile must not stand in the way of the next round.
      await commit(one.value.path, { [`work-${round}.txt`]: "mine\n" }, `Round ${round}`);
    }
  }
  expect(failed).toBe(0);
  expect(bench.warnings).toEqual([]);
}, 280_000);
