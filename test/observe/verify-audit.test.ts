import { describe, expect, test } from "bun:test";
import { link, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createAudit } from "../../src/observe/audit.ts";
import { type AuditHead, chainLine, NO_LINES } from "../../src/observe/audit-chain.ts";
import { createRedactor } from "../../src/observe/redactor.ts";
import { verifyAudit } from "../../src/observe/verify-audit.ts";
import { type TempDirectory, tempDirectory } from "../support/config-fixture.ts";

/** One record with its note elsewhere, as the service keeps the two; `open` begins a new life of the service. */
function record(directory: TempDirectory, fileBytesMax = 1e9) {
  const file = join(directory.path, "audit.jsonl");
  const state: { noted: AuditHead | null; notes: number } = { noted: null, notes: 0 };
  const said: string[] = [];
  const quiet = () => undefined;
  const log = {
    debug: quiet,
    info: quiet,
    warn: (message: string) => said.push(message),
    error: (message: string) => said.push(message),
  };
  const open = () =>
    createAudit({
      file,
      fileBytesMax,
      log,
      now: () => Date.parse("2026-11-22T10:00:00Z"),
      redactor: createRedactor([]),
      note: {
        read: async () => state.noted,
        write: async (head) => {
          state.noted = head;
          state.notes += 1;
        },
      },
    });
  const append = async (count: number) => {
    const audit = open();
    for (let index = 1; index <= count; index += 1)
      audit.append("effect", { index, text: "ü\u{1f4dd}" });
    await audit.close();
  };
  const change = async (name: string, edit: (lines: string[]) => string[]) => {
    const path = join(directory.path, name);
    const lines = (await readFile(path, "utf8")).split("\n").slice(0, -1);
    await writeFile(
      path,
      edit(lines)
        .map((line) => `${line}\n`)
        .join(""),
    );
  };
  return { file, state, said, open, append, change, verify: () => verifyAudit(file, state.noted) };
}

/** A whole chain of other lines, as somebody makes it who knows how. */
function forged(count: number): string[] {
  let head = NO_LINES;
  return Array.from({ length: count }, () => {
    const next = chainLine({ time: "2026-11-22T10:00:00.000Z", kind: "effect", index: 0 }, head);
    head = next.head;
    return next.line.slice(0, -1);
  });
}

/** Line `number` of a chain, made anew with another text but its own number and predecessor. */
function rewritten(line: string, index: number): string {
  const { n, prev, hash: _hash, ...fields } = JSON.parse(line);
  return chainLine({ ...fields, index }, { count: n - 1, hash: prev }).line.slice(0, -1);
}

test("an untouched record holds, over several lives and files", async () => {
  await using directory = await tempDirectory();
  const kept = record(directory, 3000);
  for (let life = 0; life < 5; life += 1) await kept.append(10);

  const report = await kept.verify();

  expect(report).toMatchObject({ lines: 50, first: 1, last: 50, problems: [], notes: [] });
  expect(report.noted?.count).toBe(50);
  const names = (await readdir(directory.path)).sort();
  expect(names.length).toBeGreaterThan(2);
  expect(names.filter((name) => !/^audit(-\d+)?\.jsonl$/.test(name))).toEqual([]);
  expect(kept.said).toEqual([]);
});

/** Ten lines, what is done to them, and what is said of which line. */
const ATTACKS: readonly (readonly [string, (lines: string[]) => string[], string])[] = [
  [
    "an edit",
    (all) => all.with(4, (all[4] ?? "").replace('"index":5', '"index":6')),
    "audit.jsonl:5 number 5 was edited: its text does not fit its hash",
  ],
  [
    "an edit of one byte in a text",
    (all) => all.with(4, (all[4] ?? "").replace("ü", "û")),
    "audit.jsonl:5 number 5 was edited: its text does not fit its hash",
  ],
  [
    "an edit with a new hash",
    (all) => all.with(4, rewritten(all[4] ?? "", 99)),
    "audit.jsonl:6 number 6 does not follow the line before it, which was replaced",
  ],
  [
    "an edited last line with a new hash",
    (all) => all.with(9, rewritten(all[9] ?? "", 99)),
    "audit.jsonl:10 number 10 is not the line the database knows: the record was written anew",
  ],
  ["a line left out", (all) => all.toSpliced(4, 1), "audit.jsonl:5 number 5 is missing before it"],
  [
    "three lines left out",
    (all) => all.toSpliced(4, 3),
    "audit.jsonl:5 numbers 5 to 7 are missing before it",
  ],
  [
    "two lines exchanged",
    (all) => all.with(4, all[5] ?? "").with(5, all[4] ?? ""),
    "audit.jsonl:6 number 5 is out of order: after 6",
  ],
  [
    "a line twice",
    (all) => all.toSpliced(4, 0, all[3] ?? ""),
    "audit.jsonl:5 number 4 is out of order: after 4",
  ],
  [
    "a line put in",
    (all) => all.toSpliced(4, 0, '{"time":"x","kind":"effect"}'),
    "audit.jsonl:5 is no line of the chain",
  ],
  [
    "a line that is cut",
    (all) => all.with(4, (all[4] ?? "").slice(0, -5)),
    "audit.jsonl:5 is no line of the chain",
  ],
  [
    "a line in capitals",
    (all) => all.with(4, (all[4] ?? "").toUpperCase()),
    "audit.jsonl:5 is no line of the chain",
  ],
  [
    "a last line cut off",
    (all) => all.slice(0, -1),
    "audit.jsonl the end is missing: it stops at number 9, the database knows of 10",
  ],
  [
    "an emptied file",
    () => [],
    "audit.jsonl the end is missing: it stops at number 0, the database knows of 10",
  ],
  [
    "a whole new chain",
    () => forged(10),
    "audit.jsonl:10 number 10 is not the line the database knows: the record was written anew",
  ],
  [
    "a whole new, longer chain",
    () => forged(20),
    "audit.jsonl:10 number 10 is not the line the database knows: the record was written anew",
  ],
];

describe("it finds", () => {
  test.each(ATTACKS)("%s", async (_name, edit, found) => {
    await using directory = await tempDirectory();
    const kept = record(directory);
    await kept.append(10);
    expect((await kept.verify()).problems).toEqual([]);

    await kept.change("audit.jsonl", edit);

    const { problems } = await kept.verify();
    expect(
      problems.map(({ file, line, text }) => `${file}${line === null ? "" : `:${line}`} ${text}`),
    ).toContain(found);
  });

  test.each(ATTACKS)("%s also after the service has gone on", async (_name, edit) => {
    await using directory = await tempDirectory();
    const kept = record(directory);
    await kept.append(10);
    await kept.change("audit.jsonl", edit);

    await kept.append(3);

    expect((await kept.verify()).problems).not.toEqual([]);
  });

  test("a file that is removed, the first one too while it is the only one", async () => {
    await using directory = await tempDirectory();
    const kept = record(directory);
    await kept.append(10);

    await rm(kept.file);

    expect((await kept.verify()).problems).toHaveLength(1);
    await kept.append(1);
    expect((await kept.verify()).problems).not.toEqual([]);
    expect(kept.said).toEqual([
      "the audit is not as it was left: look at it with claude-hooks audit verify",
    ]);
  });

  test("a file in the middle that is removed, but not the oldest ones: how long to keep them is the operator's", async () => {
    await using directory = await tempDirectory();
    const kept = record(directory, 1500);
    for (let life = 0; life < 4; life += 1) await kept.append(10);
    const names = (await readdir(directory.path)).filter((name) => name !== "audit.jsonl");
    const [first = "", second = ""] = names.sort((one, other) => numberIn(one) - numberIn(other));

    await rm(join(directory.path, first));
    const report = await kept.verify();
    expect(report.problems).toEqual([]);
    expect(report.notes.map(({ text }) => text)).toEqual([
      `is number ${report.first}: the files before are gone`,
    ]);

    await rename(join(directory.path, second), join(directory.path, "kept-away"));
    expect((await kept.verify()).problems).toEqual([]);
    await rename(join(directory.path, "kept-away"), join(directory.path, second));
    await rm(join(directory.path, names[2] ?? ""));
    expect((await kept.verify()).problems[0]?.text).toContain("missing before it");
  });
});

test("a cut-off end while the service runs is found at its next line", async () => {
  await using directory = await tempDirectory();
  const kept = record(directory);
  const audit = kept.open();
  for (let index = 0; index < 10; index += 1) audit.append("effect", { index });
  await audit.flush();
  await kept.change("audit.jsonl", (all) => all.slice(0, 4));

  audit.append("effect", { index: 10 });
  await audit.close();

  expect(kept.said).toHaveLength(1);
  expect((await kept.verify()).problems.map(({ text }) => text)).toEqual([
    "numbers 5 to 10 are missing before it",
    "the service itself found lines changed or missing then",
  ]);
});

test.each([1, 40, 200])(
  "a last line torn after %d bytes is repaired and said, and nothing is missing",
  async (bytes) => {
    await using directory = await tempDirectory();
    const kept = record(directory);
    await kept.append(3);
    // What a kill leaves: lines that the database does not know of yet, the last one in part.
    const text = await readFile(kept.file, "utf8");
    const { line, head } = chainLine({ time: "t", kind: "effect" }, kept.state.noted ?? NO_LINES);
    const torn = chainLine({ time: "t", text: "x".repeat(300) }, head).line.slice(0, bytes);
    await writeFile(kept.file, `${text}${line}${torn}`);
    expect((await kept.verify()).problems).toEqual([]);
    expect((await kept.verify()).notes[0]?.text).toContain(`is not ended (${bytes} bytes)`);

    const audit = kept.open();
    await audit.start();
    await audit.close();

    const lines = (await readFile(kept.file, "utf8")).split("\n").slice(0, -1);
    expect(kept.said).toEqual(["the last line of the audit was torn and is repaired"]);
    expect(JSON.parse(lines.at(-1) ?? "")).toMatchObject({
      kind: "audit_repaired",
      cut_bytes: bytes,
      n: 5,
    });
    expect(await kept.verify()).toMatchObject({ problems: [], lines: 5, noted: { count: 5 } });
  },
);

test("a last line that lost only its newline is kept", async () => {
  await using directory = await tempDirectory();
  const kept = record(directory);
  await kept.append(3);
  const text = await readFile(kept.file, "utf8");
  await writeFile(kept.file, text.slice(0, -1));

  await kept.append(1);

  expect(kept.said).toEqual(["the last line of the audit was torn and is repaired"]);
  expect(await kept.verify()).toMatchObject({ problems: [], lines: 5 });
});

test("a kill between setting a full file aside and its successor loses nothing", async () => {
  await using directory = await tempDirectory();
  const kept = record(directory, 1000);
  await kept.append(10);
  await rename(kept.file, join(directory.path, "audit-1.jsonl"));

  await kept.append(2);

  expect(kept.said).toEqual([]);
  expect(await kept.verify()).toMatchObject({ problems: [], notes: [], lines: 12, files: 2 });
});

test("the head is noted at most once a second, and at the end", async () => {
  await using directory = await tempDirectory();
  const kept = record(directory);
  const audit = kept.open();
  for (let index = 0; index < 300; index += 1) {
    audit.append("effect", { index });
    await audit.flush();
  }
  expect(kept.state.notes).toBeLessThanOrEqual(2);

  await audit.close();

  expect(kept.state.noted?.count).toBe(300);
  expect(kept.state.notes).toBeLessThanOrEqual(3);
});

test("a record with a second name is not written: somebody could keep the old one under it", async () => {
  await using directory = await tempDirectory();
  const kept = record(directory);
  await kept.append(1);
  await link(kept.file, join(directory.path, "other"));

  await kept.append(1);

  expect(kept.said).toContain("audit lines not written");
  expect((await kept.verify()).lines).toBe(1);
});

test("it may be verified while lines are written and files set aside", async () => {
  await using directory = await tempDirectory();
  const kept = record(directory, 5000);
  const audit = kept.open();
  const verified: number[] = [];
  for (let round = 0; round < 20; round += 1) {
    for (let index = 0; index < 50; index += 1) audit.append("effect", { index });
    const [report] = await Promise.all([kept.verify(), audit.flush()]);
    verified.push(report.lines);
    expect(report.problems).toEqual([]);
  }
  await audit.close();

  expect(verified.at(-1)).toBeGreaterThan(0);
  expect((await kept.verify()).lines).toBe(1000);
});

function numberIn(name: string): number {
  return Number(/\d+/.exec(name)?.[0]);
}
