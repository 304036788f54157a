/** CSI and OSC sequences, and two-character escapes (ECMA-48), of either form of the introducer. */
const TERMINAL =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is taken out
  /(?:\u001b\[|\u009b)[0-?]*[ -/]*[@-~]?|(?:\u001b\]|\u009d)[^\u0007\u001b\u009c\n]*(?:\u0007|\u001b\\|\u009c)?|\u001b[ -/]*[0-~]?/gu;
const UNSEEN = /[\p{Cf}\p{Default_Ignorable_Code_Point}\p{Cs}]|(?![\t\n])\p{Cc}/gu;
const LINE_ENDS = /\r\n?|[\u2028\u2029\u0085]/gu;

/**
 * One step of taking out what a person does not see: characters without a shape (zero width,
 * direction, tags, variation selectors, fillers, controls, lone surrogates) and terminal escapes.
 * Every line ends with `\n`. What a step uncovers, only the next one sees.
 */
export function withoutUnseen(text: string): string {
  return text.replace(LINE_ENDS, "\n").replace(TERMINAL, "").replace(UNSEEN, "");
}

/** The same characters made visible as `‹U+202E›`: for source text, where one left out would lie about it. */
export function withUnseenShown(text: string): string {
  return text
    .replace(/\r\n/gu, "\n")
    .replace(
      UNSEEN,
      (char) => `‹U+${char.codePointAt(0)?.toString(16).toUpperCase().padStart(4, "0")}›`,
    );
}

/** True for a character that {@link withoutUnseen} takes out. */
export function isUnseen(char: string): boolean {
  return char.search(UNSEEN) === 0;
}
