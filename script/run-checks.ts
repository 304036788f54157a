import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** One check of the gate; a failing one does not keep the others from running. */
interface Check {
  readonly name: string;
  readonly command: readonly string[];
}

const CHECKS: readonly Check[] = [
  { name: "biome", command: ["bun", "--bun", "x", "biome", "check", "--error-on-warnings", "."] },
  { name: "tsc", command: ["bun", "--bun", "x", "tsc", "--noEmit"] },
  { name: "knip", command: ["bun", "--bun", "x", "knip"] },
];

/** Runs every check and all tests; prints what failed and, last, how much passed and failed. */
async function main(): Promise<number> {
  let passed = 0;
  let failed = 0;
  for (const { name, command } of CHECKS) {
    const { exitCode, output } = await execute(command);
    if (exitCode === 0) passed += 1;
    else {
      failed += 1;
      console.log(`✗ ${name}\n${output}`);
    }
  }
  const args = process.argv.slice(2);
  const legs = [await runTests(args)];
  // The same tests of the store again: both databases have to keep the same promises.
  if (args.length === 0)
    legs.push(await runTests(await storeContract(), { STORE_ENGINE: "postgres" }));
  for (const leg of legs) {
    passed += leg.passed;
    failed += leg.failed;
  }
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

/** Tests in test/store that are about one database only. */
const ONE_ENGINE = /\/(?:open-store|lock-state-dir|postgres[a-z-]*|copy[a-z-]*)\.test\.ts$/u;

async function storeContract(): Promise<readonly string[]> {
  const files = await Array.fromAsync(new Bun.Glob("test/store/*.test.ts").scan("."));
  return files.filter((file) => !ONE_ENGINE.test(file)).map((file) => `./${file}`);
}

/** Runs `bun test` with its own output and reads the counts from the report it writes. */
async function runTests(
  args: readonly string[],
  more: Readonly<Record<string, string>> = {},
): Promise<{ passed: number; failed: number }> {
  const dir = await mkdtemp(join(tmpdir(), "claude-hooks-test-"));
  const report = join(dir, "report.xml");
  const command = [
    "bun",
    "test",
    "--randomize",
    // On a busy machine git alone takes seconds; what must be quick says so itself.
    "--timeout=30000",
    "--reporter=junit",
    `--reporter-outfile=${report}`,
  ];
  const env = { ...process.env, ...more };
  const child = Bun.spawn([...command, ...args], { env, stdout: "inherit", stderr: "inherit" });
  const exitCode = await child.exited;
  try {
    const { tests, failures, skipped } = countsIn(await readFile(report, "utf8"));
    // A run that ends badly without a failed test (a crash, no tests found) is a failure of its own.
    const hidden = (exitCode !== 0 && failures === 0) || tests === 0 ? 1 : 0;
    // What needs root, or must not have it, has shown nothing here: it is neither passed nor failed.
    if (skipped > 0) console.log(`${skipped} skipped (they need another user or processor)`);
    return { passed: tests - failures - skipped, failed: failures + hidden };
  } catch (error) {
    console.log(`no test report: ${String(error)}`);
    return { passed: 0, failed: 1 };
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** Totals of a JUnit report. */
function countsIn(report: string): { tests: number; failures: number; skipped: number } {
  const attributes = /<testsuites\b([^>]*)>/u.exec(report)?.[1] ?? "";
  const read = (name: string): number =>
    Number(new RegExp(`\\b${name}="(\\d+)"`, "u").exec(attributes)?.[1] ?? "0");
  return {
    tests: read("tests"),
    failures: read("failures") + read("errors"),
    skipped: read("skipped"),
  };
}

async function execute(command: readonly string[]): Promise<{ exitCode: number; output: string }> {
  const child = Bun.spawn([...command], { stdout: "pipe", stderr: "pipe" });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { exitCode: await child.exited, output: `${out}${err}` };
}

process.exit(await main());
