import { expect, test } from "bun:test";
import fc from "fast-check";
import { shownLine, shownText } from "../../src/domain/shown-text.ts";
import { withUnseenShown } from "../../src/domain/unseen.ts";

const GONE = "[a hidden comment was left out]";

/** what hides something, what is left of it. */
const HIDING: Readonly<Record<string, readonly [text: string, shown: string]>> = {
  "a comment": ["a<!-- do evil -->b", `a${GONE}b`],
  "a comment over several lines": ["a\n<!--\ndo evil\n-->\nb", `a\n${GONE}\nb`],
  "a comment that is never closed at the begin of a line": ["a\n<!-- do evil", `a\n${GONE}`],
  "an empty comment": ["a<!-->b", `a${GONE}b`],
  "a comment that is put together by taking one out": ["<!-<!-- x -->- y -->", `<!-${GONE}- y -->`],
  "a comment opened by a hidden sign": ["<\u200b!\u200d-- x --\u2060>b", `${GONE}b`],
  "a comment opened by a hidden entity": ["<&#8203;!&zwj;-- x -->b", `${GONE}b`],
  "an entity in an entity": ["a&#8&#8203;203;b", "ab"],
  "a hexadecimal entity": ["a&#x200B;b&#XE0041;c", "abc"],
  "an entity with zeros before it": ["a&#000008203;b", "ab"],
  "an entity of no character": ["a&#0;b&#x110000;c", "abc"],
  "zero width": ["a\u200b\u200c\u200d\ufeff\u2060b", "ab"],
  "marks of direction": ["a\u202e\u2066\u200e\u200f\u061cb", "ab"],
  tags: [`a${String.fromCodePoint(0xe0001, 0xe0041, 0xe007f)}b`, "ab"],
  "variation selectors": [`a\ufe00\ufe0f${String.fromCodePoint(0xe0100, 0xe01ef)}b`, "ab"],
  fillers: ["a\u3164\uffa0\u115f\u1160\u034f\u17b4\u00adb", "ab"],
  "invisible operators": ["a\u2061\u2062\u2063\u2064b", "ab"],
  "a soft hyphen by name": ["a&shy;b", "ab"],
  "terminal colours": ["a\u001b[31mred\u001b[0mb", "aredb"],
  "a terminal title": ["a\u001b]0;evil\u0007b", "ab"],
  "a terminal escape of one byte": ["a\u009b2Jb", "ab"],
  "a terminal escape cut in two": ["a\u001b\u001b[31m[31mb", "a[31mb"],
  "a null and a bell": ["a\u0000\u0007b", "ab"],
  "half a surrogate": ["a\ud800b", "ab"],
  "a link definition that leads nowhere": ["a\n\n[//]: # (do evil)\n\nb", `a\n\n${GONE}\n\nb`],
  "one with an empty address": ["[x]: <> 'do evil'", GONE],
  "one over two lines": ["[x]:\n  # 'do evil'", GONE],
  "a comment in a code block within HTML": [
    "<div>\n```\n<!-- do evil -->\n```\n</div>",
    `<div>\n\`\`\`\n${GONE}\n\`\`\`\n</div>`,
  ],
  "a comment in what only looks like a code block": [
    "   ```\n<!-- do evil -->\n   ```",
    `   \`\`\`\n${GONE}\n   \`\`\``,
  ],
  "our own hidden line": ["Done.\n\n<!-- claude-hooks:acme/widgets#1:x -->", "Done."],
};

for (const [name, [text, shown]] of Object.entries(HIDING)) {
  test(`${name} does not reach an agent`, () => {
    expect(shownText(text)).toBe(shown);
  });
}

/** what a person sees, and an agent must see as well. */
const SEEN: readonly string[] = [
  "Use `a < b && c > d`, see [docs](https://x.example/#a).",
  "[docs]: https://x.example/#a 'the title'",
  "```html\n<!-- keep me -->\n<p>\n```\ntext",
  "~~~\n<!-- keep me -->\n~~~",
  "`<!--` begins a comment, and the line goes on",
  "&lt;!-- visible --&gt; &#60;!-- visible --&#62; &amp; &#8364; &nope;",
  "日本語 עברית café naïve – … 🙂",
  "a\tb\n\n  - c",
  "",
];

for (const text of SEEN) {
  test(`${JSON.stringify(text)} stays as it is`, () => {
    expect(shownText(text)).toBe(text);
  });
}

const PIECES = fc.constantFrom(
  ..."<!-- | --> | < | ! | - | > | & | # | ; | &#8203; | &#x3c; | &shy; | \u200b | \u202e | \u001b[ | \u001b | m | ``` | ~~~ | \n | [x]: # | x | <div> | \ud800 | \u{e0041}".split(
    " | ",
  ),
);

test("whatever is put together, the result hides nothing and is its own result", () => {
  fc.assert(
    fc.property(fc.array(PIECES, { maxLength: 40 }), (pieces) => {
      const shown = shownText(pieces.join(""));

      expect(shownText(shown)).toBe(shown);
      expect(shown).not.toMatch(/[\p{Cf}\p{Default_Ignorable_Code_Point}\p{Cs}]|(?![\t\n])\p{Cc}/u);
      if (!/^(?:```|~~~)/mu.test(shown)) expect(shown).not.toMatch(/<!--[\s\S]*?-->/u);
    }),
    { numRuns: 5_000 },
  );
});

test("a line is one line", () => {
  expect(shownLine(" a\r\nb\u2028c\u0085d\u200b ")).toBe("a b c d");
});

test("source text shows its unseen characters by their number", () => {
  expect(withUnseenShown("if (a\u202e) {\r\n\t\u001b[31m")).toBe(
    "if (a‹U+202E›) {\n\t‹U+001B›[31m",
  );
});
