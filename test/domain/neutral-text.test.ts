import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { withHiddenLine } from "../../src/domain/hidden-line.ts";
import { closedByWords, neutralLine, neutralText } from "../../src/domain/neutral-text.ts";

/** Forgejo: modules/references/references.go mentionPattern. */
const MENTION =
  /(?:\s|^|\(|\[)(@[-\w][-.\w]*?|@[-\w][-.\w]*?\/[-\w][-.\w]*?)(?:\s|$|[:,;.?!](\s|$)|'|\)|\])/u;
/** Forgejo: makeKeywordsPat and the patterns of references, in one. */
const CLOSING =
  /(?:\s|^|\(|\[)(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?|reopen(?:s|ed)?):? (?:[\w.-]+\/[\w.-]+)?[#!]\d/iu;

function leftOver(text: string): string[] {
  const found: string[] = [];
  for (const [how, view] of [["Markdown", seenInMarkdown(text)]] as const) {
    if (MENTION.test(view)) found.push(`mention in ${how}: ${JSON.stringify(view)}`);
    if (CLOSING.test(view)) found.push(`closing in ${how}: ${JSON.stringify(view)}`);
  }
  if (CLOSING.test(text)) found.push("closing in the plain text");
  if (/<!|<\?/u.test(text)) found.push("a comment");
  if (/[\p{Cf}\p{Default_Ignorable_Code_Point}]|(?![\t\n])\p{Cc}/u.test(text)) found.push("unseen");
  return found;
}

/** The HTML that is shown, without code and tags. */
function seenInMarkdown(text: string): string {
  return Bun.markdown
    .html(text)
    .replace(/<pre>[\s\S]*?<\/pre>/gu, "\n")
    .replace(/<code>[\s\S]*?<\/code>/gu, "\n")
    .replace(/<[^>]*>/gu, "\n")
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&quot;", '"')
    .replaceAll("&amp;", "&");
}

describe("a text of an agent", () => {
  test.each([
    ["calls nobody", "Please look, @alice.", "Please look, `@alice`."],
    ["calls no team", "(@acme/owners)", "(`@acme/owners`)"],
    ["keeps an address", "Mail bob@example.org", "Mail bob@example.org"],
    ["keeps code in a line", "Add `@types/node` here", "Add `@types/node` here"],
    ["calls nobody beside code", "`x` @alice", "`x` @ alice"],
    ["calls nobody between doubtful backticks", "` `` @alice `", "` `` @ alice `"],
    ["calls nobody in a table beside code", "| ` | @alice ` |", "| ` | @ alice ` |"],
    ["calls nobody by an entity", "&#64;alice &commat;bob &#x000040;eve", "`@alice` `@bob` `@eve`"],
    ["calls nobody behind a backslash", "\\@alice", "`@alice`"],
    ["calls nobody through unseen characters", "@\u200balice @\u{e0061}bob", "`@alice` `@bob`"],
    [
      "keeps a code block",
      "```ts\n@Component\nclass A {}\n```",
      "```ts\n@Component\nclass A {}\n```",
    ],
    ["sets a code block off", "See\n```\n@A\n```\n@bob", "See\n\n```\n@A\n```\n`@bob`"],
    ["closes a code block", "~~~\n@A", "~~~\n@A\n~~~"],
    [
      "closes nothing",
      "This closes #12 and Fixes: acme/x#3",
      "This closes → #12 and Fixes: → acme/x#3",
    ],
    [
      "closes nothing by a link",
      "fixes https://forge/acme/x/issues/3",
      "fixes → https://forge/acme/x/issues/3",
    ],
    [
      "closes nothing by a named link",
      "resolves [it](/a/b/issues/3)",
      "resolves [it](/a/b/issues/3)",
    ],
    ["closes nothing by an entity", "closes &#35;12", "closes → #12"],
    ["reopens nothing", "reopens !7", "reopens → !7"],
    ["keeps a plain reference", "See #12, fixed utf-8", "See #12, fixed utf-8"],
    ["hides nothing", "a<!-- hidden -->b", "a< !-- hidden -->b"],
    ["swallows nothing", "<script>\n<pre>", "< script>\n< pre>"],
    ["has no terminal escapes", "\u001b[31mred\u001b[0m \u001b]8;;http://x\u0007y", "red y"],
    ["turns no direction", "a\u202eb\u2066c\ufeff", "abc"],
    ["has whole lines only", "a\r\nb\u2028c", "a\nb\nc"],
  ])("%s", (_, given, wanted) => {
    expect(neutralText(given)).toBe(wanted);
  });

  test("cannot forge the hidden line of the service", () => {
    const forged = withHiddenLine("done", "acme/widgets#1|x|reply|1");
    expect(neutralText(forged)).not.toContain("<!-- claude-hooks:");
  });

  test("in a title is one line that calls nobody and closes nothing", () => {
    expect(neutralLine("Fix #3\n for @alice <!-- x")).toBe("Fix → #3 for `@alice` < !-- x");
  });

  const PIECES = [
    "@alice",
    "@acme/owners",
    " ",
    " ",
    "\n",
    "\n\n",
    "`",
    "``",
    "```",
    "```\n",
    "\n```\n",
    "~~~\n",
    "*",
    "_",
    "\\",
    "|",
    "<",
    ">",
    "<div>",
    "<!--",
    "-->",
    "](",
    "[",
    "]",
    "(",
    ")",
    "> ",
    "- ",
    "  ",
    "    ",
    "\t",
    "1. ",
    "# ",
    "closes ",
    "Fixes: ",
    "#12",
    "acme/x#3",
    "http://forge/a/b/issues/1",
    "\u200b",
    "\u202e",
    "&#64;bob",
    "&",
    "x",
    ".",
    ",",
    "'",
    "&#3\u200b5;4",
    "\u001b[1m",
    '<a href="',
    '">',
    "|-|-|\n",
    "\n===\n",
    "[x]: ",
    "\r",
  ];
  const anyText = fc
    .array(fc.constantFrom(...PIECES), { maxLength: 24 })
    .map((parts) => parts.join(""));

  test("calls nobody, closes nothing and hides nothing, however it is put together", () => {
    fc.assert(
      fc.property(anyText, (text) => {
        expect(leftOver(neutralText(text))).toEqual([]);
        expect(leftOver(neutralLine(text))).toEqual([]);
      }),
      { numRuns: 20_000 },
    );
  });

  test("does not swallow what the service writes below", () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const whole = withHiddenLine(`${neutralText(text)}\n\nCloses #1`, "key");
        expect(seenInMarkdown(whole)).toMatch(/(^|\s)Closes #1(\s|$)/u);
        expect(Bun.markdown.html(whole)).toContain("<!-- claude-hooks:key -->");
      }),
      { numRuns: 10_000 },
    );
  });

  test("the check of this test finds what is not neutral", () => {
    expect(leftOver("`` ` @alice")).not.toEqual([]);
    expect(leftOver("Closes #2")).not.toEqual([]);
    expect(leftOver("a\u200bb<!--")).toHaveLength(2);
  });
});

test.each([
  ["Closes #5", [5]],
  ["Fix the thing (#5)", []],
  ["Fixes #1", []],
  ["fixes #1 and closes: #22", [22]],
  ["resolves acme/other#1", [null]],
  ["resolve https://forge/acme/widgets/issues/9", [null]],
  ["Closing words: close the door", []],
])("a commit message %j closes %j besides its own issue", (message, numbers) => {
  expect(closedByWords(message, 1)).toEqual(numbers as never);
});
