import { expect, test } from "bun:test";
import { chmod, mkdir, readFile, rm, stat, symlink } from "node:fs/promises";
import { join } from "node:path";
import { parseJson } from "../../src/json/parse.ts";
import { type AuditOptions, createAudit, DELIVERY_REFUSED } from "../../src/observe/audit.ts";
import type { AuditHead } from "../../src/observe/audit-chain.ts";
import { createRedactor } from "../../src/observe/redactor.ts";
import type { Log } from "../../src/ports/observe.ts";
import { tempDirectory } from "../support/config-fixture.ts";

function open(file: string, more: Partial<AuditOptions> = {}) {
  const warnings: string[] = [];
  const noted: AuditHead[] = [];
  const clock = { at: Date.parse("2026-11-22T10:00:00Z") };
  const quiet = () => undefined;
  const log: Log = {
    debug: quiet,
    info: quiet,
    error: (message) => warnings.push(message),
    warn: (message) => warnings.push(message),
  };
  const redactor = createRedactor(["hunter22hunter22"]);
  const note = {
    read: async () => noted.at(-1) ?? null,
    write: async (head: AuditHead) => {
      noted.push(head);
    },
  };
  const audit = createAudit({ file, now: () => clock.at, redactor, log, note, ...more });
  return { audit, clock, warnings, noted };
}

async function read(file: string): Promise<Record<string, unknown>[]> {
  const text = await readFile(file, "utf8");
  expect(text).toEndWith("\n");
  return text
    .slice(0, -1)
    .split("\n")
    .map((line) => {
      const { n: _n, prev: _prev, hash: _hash, ...said } = parseJson(line) as Chained;
      return said;
    });
}

interface Chained extends Record<string, unknown> {
  readonly n: number;
  readonly prev: string;
  readonly hash: string;
}

test("lines stand in the order in which they were appended, time and kind first", async () => {
  await using directory = await tempDirectory();
  const file = join(directory.path, "audit.jsonl");
  const { audit, clock } = open(file);

  for (let index = 0; index < 500; index += 1) {
    clock.at += 1;
    audit.append("effect", { index, time: "forged", kind: "forged" });
  }
  await audit.close();

  const lines = await read(file);
  expect(lines.map((line) => line["index"])).toEqual([...Array(500).keys()]);
  expect(lines[0]).toEqual({ time: "2026-11-22T10:00:00.001Z", kind: "effect", index: 0 });
  expect(Object.keys(lines[0] ?? {}).slice(0, 2)).toEqual(["time", "kind"]);
});

test("the file is for its owner only, also when it was not before", async () => {
  await using directory = await tempDirectory();
  const file = await directory.write("audit.jsonl", "");
  await chmod(file, 0o644);
  const { audit } = open(file);

  audit.append("start", {});
  await audit.close();

  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect(await read(file)).toHaveLength(1);
});

test("no secret and no raw control character reaches the file", async () => {
  await using directory = await tempDirectory();
  const file = join(directory.path, "audit.jsonl");
  const { audit } = open(file);

  audit.append("effect", { text: "hunter22hunter22", nested: { url: "https://a:b@x/" } });
  await audit.close();

  expect(await readFile(file, "utf8")).not.toMatch(/hunter22|a:b@/);
});

test("of refusals before the signature there is one line per reason and minute", async () => {
  await using directory = await tempDirectory();
  const file = join(directory.path, "audit.jsonl");
  const { audit, clock } = open(file);

  for (let index = 0; index < 100; index += 1) {
    audit.append(DELIVERY_REFUSED, { reason: "signature" });
    audit.append(DELIVERY_REFUSED, { reason: "length" });
  }
  clock.at += 60_000;
  audit.append(DELIVERY_REFUSED, { reason: "signature" });
  audit.append("delivery", { reason: "signature" });
  audit.append("delivery", { reason: "signature" });
  await audit.close();

  const lines = await read(file);
  expect(lines.map(({ kind, reason, more }) => [kind, reason, more])).toEqual([
    [DELIVERY_REFUSED, "signature", undefined],
    [DELIVERY_REFUSED, "length", undefined],
    [DELIVERY_REFUSED, "signature", 99],
    ["delivery", "signature", undefined],
    ["delivery", "signature", undefined],
  ]);
});

test("reasons somebody makes up do not fill the file", async () => {
  await using directory = await tempDirectory();
  const file = join(directory.path, "audit.jsonl");
  const { audit } = open(file);

  for (let index = 0; index < 5000; index += 1) {
    audit.append(DELIVERY_REFUSED, { reason: `made-up ${index}` });
  }
  await audit.close();

  expect((await read(file)).length).toBeLessThanOrEqual(101);
});

test("a line that would be too long keeps its kind and the names of its fields", async () => {
  await using directory = await tempDirectory();
  const file = join(directory.path, "audit.jsonl");
  const { audit } = open(file);

  audit.append("effect", { a: "x".repeat(16_000), b: "y".repeat(16_000) });
  await audit.close();

  expect(await read(file)).toEqual([
    {
      time: "2026-11-22T10:00:00.000Z",
      kind: "effect",
      cut_bytes: expect.any(Number),
      fields: ["a", "b"],
    },
  ]);
});

test("a disk error is a warning, and its lines are written when the disk is back", async () => {
  await using directory = await tempDirectory();
  const file = join(directory.path, "state/audit.jsonl");
  const { audit, warnings } = open(file);

  audit.append("early", {});
  await audit.flush();
  await mkdir(join(directory.path, "state"));
  audit.append("late", {});
  await audit.close();

  expect(warnings).toEqual(["audit lines not written"]);
  expect((await read(file)).map((line) => line["kind"])).toEqual(["early", "late"]);
});

test("without a disk a bounded number of lines waits, and how many were lost is a line", async () => {
  await using directory = await tempDirectory();
  const file = join(directory.path, "state/audit.jsonl");
  const { audit } = open(file);

  for (let index = 0; index < 10_050; index += 1) audit.append("effect", { index });
  await audit.flush();
  await mkdir(join(directory.path, "state"));
  audit.append("late", {});
  await audit.flush();
  audit.append("later", {});
  await audit.close();

  const lines = await read(file);
  expect(lines.filter(({ kind }) => kind === "effect")).toHaveLength(10_000);
  expect(lines.find(({ kind }) => kind === "audit_lost")).toMatchObject({ lines: 51 });
  expect(lines.at(-1)).toMatchObject({ kind: "later" });
});

test("the record is never written through a symbolic link", async () => {
  await using directory = await tempDirectory();
  const target = await directory.write("target", "");
  const file = join(directory.path, "audit.jsonl");
  await symlink(target, file);
  const { audit, warnings } = open(file);

  audit.append("start", {});
  await audit.close();

  expect(warnings).toEqual(["audit lines not written"]);
  expect(await readFile(target, "utf8")).toBe("");
  await rm(file);
});

test("after closing a line is dropped with a warning", async () => {
  await using directory = await tempDirectory();
  const { audit, warnings } = open(join(directory.path, "audit.jsonl"));

  await audit.close();
  audit.append("late", {});
  await audit.flush();

  expect(warnings).toEqual(["audit lines dropped"]);
});
