import { expect, test } from "bun:test";
import { parseHandOver } from "../../src/sessions/hand-over.ts";

const WHOLE = "## Done\n- a\n\n## Open\n- b\n\n## Decisions\n- c\n\n## Pitfalls\n- d";

test.each([
  ["the form itself", WHOLE, WHOLE],
  ["words before it", `Here it is:\n\n${WHOLE}\n`, WHOLE],
  [
    "headings of another level, with colons",
    "# done:\n### OPEN\n## Decisions:\n# Pitfalls",
    "# done:\n### OPEN\n## Decisions:\n# Pitfalls",
  ],
  ["lines of Windows", WHOLE.replaceAll("\n", "\r\n"), WHOLE],
  ["a heading too few", "## Done\n## Open\n## Pitfalls", null],
  ["another order", "## Open\n## Done\n## Decisions\n## Pitfalls", null],
  ["headings within lines", "I put ## Done ## Open ## Decisions ## Pitfalls", null],
  ["nothing", "", null],
])("a hand-over with %s", (_, answer, parsed) => {
  expect(parseHandOver(answer)).toBe(parsed);
});

test.each(["x", "ß", "語", "😀"])(
  "a long hand-over of %s is cut at 8 kB, whole characters, and says so",
  (letter) => {
    const parsed = parseHandOver(`${WHOLE}${letter.repeat(9000)}`) ?? "";

    expect(Buffer.byteLength(parsed)).toBeLessThanOrEqual(8192);
    expect(Buffer.byteLength(parsed)).toBeGreaterThan(8180);
    expect(parsed).not.toContain("\uFFFD");
    expect(parsed).toEndWith(`${letter}\n(cut)`);
  },
);
