import { expect, test } from "bun:test";
import fc from "fast-check";
import { createRedactor } from "../../src/observe/redactor.ts";

const SECRET = 'p4ss/w0rd+"with?&=~ütf';
const redactor = createRedactor([SECRET, "0123456789abcdef", "abc"]);

const encode = (text: string, encoding: "hex" | "base64" | "base64url") =>
  Buffer.from(text).toString(encoding);

const HIDDEN: readonly (readonly [string, string, string])[] = [
  ["itself", `x ${SECRET} y`, "x [secret] y"],
  ["twice", `${SECRET}${SECRET}`, "[secret][secret]"],
  ["hex", encode(SECRET, "hex"), "[secret]"],
  ["hex in capitals", encode(SECRET, "hex").toUpperCase(), "[secret]"],
  ["URL-encoded", encodeURIComponent(SECRET), "[secret]"],
  ["URL-encoded in small letters", encodeURIComponent(SECRET).toLowerCase(), "[secret]"],
  ["inside JSON", JSON.stringify({ a: SECRET }), '{"a":"[secret]"}'],
  [
    "user info of a URL",
    "fetch https://bob:pw@git.example.org/x",
    "fetch https://[secret]@git.example.org/x",
  ],
  [
    "an unknown token after a word",
    `authorization: token ${"ab12".repeat(10)}`,
    "authorization: token [secret]",
  ],
  [
    "an unknown bearer token",
    `Authorization: Bearer ${"ab12".repeat(10)}.`,
    "Authorization: Bearer [secret].",
  ],
  [
    "an unknown token as a field",
    `"access_token":"${"ab12".repeat(10)}"`,
    '"access_token":"[secret]"',
  ],
];

for (const [name, text, expected] of HIDDEN) {
  test(`a secret is taken out: ${name}`, () => {
    const found = redactor.text(text);

    expect(found).toBe(expected);
  });
}

const KEPT: readonly string[] = [
  `commit ${"ab12".repeat(10)}`,
  "abc is too short to be searched for",
  "mail bob@example.org, see https://git.example.org/acme/widgets",
  "two\nlines\tand a tab",
];

for (const text of KEPT) {
  test(`ordinary text stays: ${JSON.stringify(text)}`, () => {
    expect(redactor.text(text)).toBe(text);
  });
}

test("base64 is recognised at every offset, as in a Basic header", () => {
  for (const encoding of ["base64", "base64url"] as const) {
    for (const before of ["", "b", "bo", "bob:"]) {
      const found = redactor.text(`Basic ${encode(`${before}${SECRET}:more`, encoding)}`);

      expect(found).toContain("[secret]");
      const rest = found.replace("Basic ", "").replace("[secret]", "");
      expect(Buffer.from(rest, "base64").toString("latin1")).not.toContain("w0rd");
    }
  }
});

test("no text with the secret in it comes out with the secret in it", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: "grapheme", maxLength: 50 }),
      fc.string({ unit: "grapheme", minLength: 8, maxLength: 40 }),
      fc.string({ unit: "grapheme", maxLength: 50 }),
      (before, secret, after) => {
        const found = createRedactor([secret]).text(before + secret + after);
        return !found.replaceAll("[secret]", "").includes(secret);
      },
    ),
    { numRuns: 200 },
  );
});

test("a secret learned later is taken out, too", () => {
  const learning = createRedactor(["first-secret"]);

  learning.add(["second-secret"]);

  expect(learning.text("first-secret second-secret")).toBe("[secret] [secret]");
});

test("what could command a terminal is made visible", () => {
  expect(redactor.text("\u001b[2Jx\r\u0000\u202Ey\u0085")).toBe(
    "\\u001b[2Jx\\u000d\\u0000\\u202ey\\u0085",
  );
});

test("values become plain JSON, with bounds and without secrets", () => {
  const cause = new TypeError(`no ${SECRET}`);
  const error = Object.assign(new Error("bad", { cause }), { code: "EACCES", request: SECRET });
  const loop: Record<string, unknown> = { n: 1n, nan: Number.NaN, u: undefined, d: new Date(0) };
  loop["loop"] = loop;

  const found = redactor.value({ error, loop, list: [SECRET], [SECRET]: true }) as {
    error: unknown;
  };

  const text = JSON.stringify(found);
  expect(text).not.toContain("w0rd");
  expect(found.error).toMatchObject({
    type: "Error",
    message: "bad",
    code: "EACCES",
    cause: { type: "TypeError", message: "no [secret]" },
  });
  expect(text).toContain('"list":["[secret]"]');
  expect(text).toContain('"n":"1","nan":"NaN","d":"1970-01-01T00:00:00.000Z"');
  expect(text).toContain("[deeper]");
});

test("a huge text is cut after the secrets were taken out", () => {
  const found = redactor.text(`${"x".repeat(16_380)}${SECRET}${"y".repeat(100_000)}`);

  expect(found.length).toBeLessThan(17_000);
  expect(found).not.toContain(SECRET.slice(0, 4));
  expect(found).toMatch(/… \(\d+ more\)$/);
});

test("no text makes the search slow", () => {
  const started = performance.now();

  redactor.text("://".repeat(100_000));
  redactor.text(`token${" ".repeat(500_000)}`);
  redactor.text("a".repeat(1_000_000));

  expect(performance.now() - started).toBeLessThan(2000);
});
