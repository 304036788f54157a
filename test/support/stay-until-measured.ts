import { afterAll, setDefaultTimeout } from "bun:test";
import fc from "fast-check";

/**
 * Loaded before the tests of a file whose branches are measured (branches.ts): the same cases each
 * time, and at the end the process stays until somebody has looked at it.
 */
fc.configureGlobal({ seed: 5 });
setDefaultTimeout(120_000);

afterAll(async () => {
  console.log("ALL-TESTS-RAN");
  await Bun.stdin.text();
});
