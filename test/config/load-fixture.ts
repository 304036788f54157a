import { join } from "node:path";
import { type ConfigResult, type LoadOptions, loadConfig } from "../../src/config/load-config.ts";
import { formatProblem } from "../../src/config/problem.ts";
import { type TempDirectory, tempDirectory, writeFixture } from "../support/config-fixture.ts";

export function optionsFor(directory: TempDirectory, more: Partial<LoadOptions> = {}): LoadOptions {
  const home = join(directory.path, "home");
  return { explicitPath: null, env: {}, cwd: directory.path, home, uid: 1000, ...more };
}

export function accepted(result: ConfigResult) {
  if (!result.ok) {
    throw new Error(result.problems.map((one) => formatProblem(one, result.file)).join("\n"));
  }
  return result;
}

export function messages(result: ConfigResult): string[] {
  return result.ok ? [] : result.problems.map((problem) => formatProblem(problem, result.file));
}

export async function load(
  document: unknown,
  more: Partial<LoadOptions> = {},
): Promise<ConfigResult> {
  await using directory = await tempDirectory();
  await writeFixture(directory, document);
  return await loadConfig(optionsFor(directory, more));
}
