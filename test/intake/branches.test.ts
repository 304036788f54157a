import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdtemp, readdir, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { measureBranches } from "../support/branches.ts";

setDefaultTimeout(240_000);

const INTAKE = new URL("../../src/intake/", import.meta.url).pathname;
const FUZZER = new URL("fuzz.test.ts", import.meta.url).pathname;

test("the fuzzer reaches every branch of the intake, each with both outcomes", async () => {
  const { scripts, blocks, missed } = await measureBranches(FUZZER, {
    folder: INTAKE,
    env: { FUZZ_MS: "120000", FUZZ_RUNS: "12000" },
  });

  expect([...scripts].sort()).toEqual((await readdir(INTAKE)).sort());
  expect(blocks).toBeGreaterThan(300);
  expect(missed).toEqual([]);
});

const SUBJECT = `export function size(count: number, more?: { readonly extra: number }): string {
  if (count < 0) {
    throw new RangeError("below zero");
  }
  const all = count + (more?.extra ?? 0);
  if (all > 10) return "large";
  return all > 2 && more !== undefined ? "middling" : "small";
}
`;

test.each([
  ["all", "[[1], [5], [50], [1, { extra: 1 }], [5, { extra: 9 }], [5, { extra: 1 }]]", true, []],
  ["no negative one", "[[1], [5], [50], [5, { extra: 1 }]]", false, ["2 never run"]],
  ["no large one", "[[1], [5], [5, { extra: 1 }]]", true, ["6 never run"]],
  ["large ones only", "[[50], [50, { extra: 1 }]]", true, ["6 never skipped", "7 never run"]],
  ["none with more", "[[1], [5], [50]]", true, ["5 never run", "5 never skipped", "7 never run"]],
  [
    "all with more",
    "[[1, { extra: 0 }], [5, { extra: 1 }], [50, { extra: 1 }]]",
    true,
    ["5 never run", "5 never skipped"],
  ],
])("control: with %s the branches missed are told by line", async (_, calls, refuses, expected) => {
  const dir = await realpath(await mkdtemp(join(tmpdir(), "ch-branches-")));
  try {
    await Bun.write(join(dir, "subject/size.ts"), SUBJECT);
    await Bun.write(
      join(dir, "size.test.ts"),
      `import { expect, test } from "bun:test";
import { size } from "./subject/size.ts";
test("it is told how large", () => {
  for (const [count, more] of ${calls}) expect(size(count, more)).toBeString();
  ${refuses ? "expect(() => size(-1)).toThrow();" : ""}
});
`,
    );

    const { missed } = await measureBranches(join(dir, "size.test.ts"), {
      folder: join(dir, "subject/"),
    });

    const told = missed.map(({ at, why }) => `${at.replace("size.ts:", "")} ${why}`);
    expect([...new Set(told)].sort()).toEqual(expected);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});
