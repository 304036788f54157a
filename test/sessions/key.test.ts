import { expect, test } from "bun:test";
import fc from "fast-check";
import { parseSessionKey, sessionKey } from "../../src/sessions/key.ts";

test("a key names agent, repository in lower case and number", () => {
  expect(sessionKey("boss", "Acme/Widgets.js", 42)).toBe("boss:acme/widgets.js#42");
});

test.each([
  ["", "acme/widgets", 1],
  ["Boss", "acme/widgets", 1],
  ["-boss", "acme/widgets", 1],
  ["a:b", "acme/widgets", 1],
  ["a".repeat(33), "acme/widgets", 1],
  ["boss", "widgets", 1],
  ["boss", "acme/", 1],
  ["boss", "/widgets", 1],
  ["boss", "acme/widgets/more", 1],
  ["boss", "../widgets", 1],
  ["boss", "acme/..", 1],
  ["boss", "acme/wid#gets", 1],
  ["boss", "acme/wid gets", 1],
  ["boss", "acme/widgets\n", 1],
  ["boss", "acme/widgets", 0],
  ["boss", "acme/widgets", -1],
  ["boss", "acme/widgets", 1.5],
  ["boss", "acme/widgets", Number.NaN],
  ["boss", "acme/widgets", 2 ** 53],
])("(%p, %p, %p) is refused and the value named", (agent, repo, number) => {
  let failure: unknown;
  try {
    sessionKey(agent, repo, number);
  } catch (error) {
    failure = error;
  }

  expect(failure).toMatchObject({ name: "SessionKeyFailure" });
  expect([agent, repo, String(number)]).toContain((failure as { value: string }).value);
  expect(String(failure)).toContain(JSON.stringify((failure as { value: string }).value));
});

test("different places have different keys, and a key gives its place back", () => {
  const agent = fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,31}$/);
  const part = fc.stringMatching(/^[a-zA-Z0-9_-][a-zA-Z0-9._-]{0,20}$/);
  const number = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
  fc.assert(
    fc.property(agent, part, part, number, (name, owner, repo, item) => {
      const key = sessionKey(name, `${owner}/${repo}`, item);
      expect(parseSessionKey(key)).toEqual({
        key,
        agent: name,
        repo: `${owner}/${repo}`.toLowerCase(),
        number: item,
      });
    }),
  );
});

test.each([
  "",
  "boss",
  "boss:acme/widgets",
  "boss:acme/widgets#",
  "boss:acme/widgets#042",
  "__proto__",
])("%p is no key", (key) => {
  expect(() => parseSessionKey(key)).toThrow("is no session key");
});
