import { describe, expect, test } from "bun:test";
import { createSecretScan } from "../../src/observe/secret-scan.ts";

const TOKEN = "9f2c41d7a0b84e63952f7d1c08ab6e5d3f7a1b2c";
const KEY = "sk-ant-api03-Zx9-Qw_8rTyU7iOpLkJhGfDsA";
const scan = createSecretScan([TOKEN, KEY, "pässwörd-12", "s3cr3t!"]);

const base64 = (text: string): string => Buffer.from(text).toString("base64");
const hex = (text: string): string => Buffer.from(text).toString("hex");

const wide = (one: string): string => String.fromCodePoint(one.charCodeAt(0) + 0xfee0);

describe("a secret is found", () => {
  test.each([
    ["as it is", `the token is ${KEY}.`],
    ["in capitals", KEY.toUpperCase()],
    ["a part of it", `it begins with ${KEY.slice(7, 22)}`],
    ["in pieces", [...KEY].join(" ")],
    ["in quoted pieces over lines", KEY.replace(/(.{3})/gu, '"$1" +\n')],
    ["with unseen characters between", [...KEY].join("\u200b")],
    ["backwards", [...KEY].reverse().join("")],
    ["in base64", base64(KEY)],
    ["in base64 in the middle of something", base64(`user:${KEY}`)],
    ["in base64url", Buffer.from(`a:${KEY}`).toString("base64url")],
    ["in base64 of base64", base64(base64(KEY))],
    ["in base64 backwards", [...base64(KEY)].reverse().join("")],
    ["in hex", hex(KEY)],
    ["in hex with spaces", hex(KEY).replace(/(..)/gu, "$1 ")],
    ["in hex of base64", hex(base64(KEY))],
    ["URL-encoded", encodeURIComponent("pässwörd-12")],
    ["percent by percent", [...KEY].map((one) => `%${hex(one)}`).join("")],
    ["in entities", [...KEY].map((one) => `&#${one.charCodeAt(0)};`).join("")],
    ["in entities of hex", [...KEY].map((one) => `&#x${hex(one)};`).join("")],
    ["in escapes of a program", [...KEY].map((one) => `\\x${hex(one)}`).join("")],
    ["in escapes of JSON", [...KEY].map((one) => `\\u00${hex(one)}`).join("")],
    ["in wide letters", [...KEY].map(wide).join("")],
    ["as a token of the forge", `x${TOKEN}x`],
    ["a short one, whole", "it is s3cr3t! here"],
  ])("%s", (_, text) => {
    expect(scan.holds(text)).toBe(true);
  });

  test("that was learnt later", () => {
    const learning = createSecretScan([]);
    expect(learning.holds(KEY)).toBe(false);
    learning.add([KEY]);
    expect(learning.holds(KEY)).toBe(true);
  });
});

test.each([
  "slugify keeps accented letters now; the second test of test/slugify.test.ts passes.",
  "acme/widgets#42 at 4b825dc642cb6eb9a060e54bf8d69288fbee4904",
  Buffer.from("some other file, as base64, of ordinary length").toString("base64"),
  KEY.slice(0, 8),
  "",
])("%j holds none", (text) => {
  expect(scan.holds(text)).toBe(false);
});

test("a megabyte is looked through within two seconds", () => {
  const text = "const value = await read(path, { encoding: 'utf8' });\n".repeat(20_000);
  const before = performance.now();
  expect(scan.holds(text)).toBe(false);
  expect(performance.now() - before).toBeLessThan(2000);
});
