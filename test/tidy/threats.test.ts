import { expect, test } from "bun:test";
import { exists, readFile } from "node:fs/promises";

const ROOT = new URL("../../", import.meta.url);
const TABLE = await readFile(new URL("docs/threats.md", ROOT), "utf8");

/** A test as the table names it: its file, and the words it is declared with. */
const NAMED = [...TABLE.matchAll(/`(test\/[\w/.-]+\.test\.ts)` › `([^`]*(?:\$\{[^`]*)?)`/g)].map(
  ([, file = "", title = ""]) => ({ file, title }),
);

test("the table names many attacks, and every row names one", () => {
  expect(NAMED.length).toBeGreaterThan(60);
  const rows = TABLE.split("\n").filter((line) => /^\| (?!threat|---)/.test(line));
  for (const row of rows) expect(row).toMatch(/` › `/);
});

test.each(NAMED)("$file has the test “$title”, and it runs", async ({ file, title }) => {
  const source = await readFile(new URL(file, ROOT), "utf8");
  const quoted = [`"${title.replaceAll('"', '\\"')}"`, `\`${title}\``];
  const at = quoted.map((words) => source.indexOf(words)).find((index) => index >= 0) ?? -1;

  expect(at, `${title} is declared in ${file}`).toBeGreaterThan(-1);
  expect(source).not.toMatch(/\b(?:test|describe)\.(?:skip|todo|only)\b/);
});

test("every file the table holds responsible is there", async () => {
  const files = [...TABLE.matchAll(/`(src\/[\w/.-]+)`/g)].map(([, file = ""]) => file);
  expect(files.length).toBeGreaterThan(30);
  for (const file of files) {
    expect(await exists(new URL(file, ROOT)), file).toBe(true);
  }
});
