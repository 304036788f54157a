import { expect, test } from "bun:test";
import { fileURLToPath } from "node:url";
import { cliEnvironment } from "./cli-world.ts";

const DEMO = fileURLToPath(new URL("../../demo/main.ts", import.meta.url));

test.each([
  ["--help", 0, "usage: demo [--keep] [--live] [--json]", ""],
  ["--bogus", 2, "", "usage: demo [--keep] [--live] [--json]"],
])("the demo told %s plays nothing, says its usage and ends with %d", (flag, code, out, errors) => {
  const end = Bun.spawnSync([process.execPath, DEMO, flag], { env: cliEnvironment() });

  expect(end.exitCode).toBe(code);
  expect(end.stdout.toString()).toStartWith(out);
  expect(end.stderr.toString()).toContain(errors);
  expect(end.stderr.toString()).not.toContain("    at ");
});
