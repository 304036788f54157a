import { styleText } from "node:util";
import type { CliContext } from "./context.ts";

type Style = Parameters<typeof styleText>[0];

/**
 * Whether output takes colours: on a terminal, or when FORCE_COLOR asks for them, and never with
 * NO_COLOR (https://no-color.org: any value that is not empty).
 */
export function takesColour(
  env: Readonly<Record<string, string | undefined>>,
  terminal: boolean,
): boolean {
  const { NO_COLOR, FORCE_COLOR, TERM } = env;
  if (NO_COLOR !== undefined && NO_COLOR !== "") {
    return false;
  }
  if (FORCE_COLOR !== undefined && FORCE_COLOR !== "") {
    return FORCE_COLOR !== "0";
  }
  return terminal && TERM !== "dumb";
}

/** The text in a style, or as it is where colours are not taken. */
export function styled(context: CliContext, style: Style, text: string): string {
  return context.colour ? styleText(style, text, { validateStream: false }) : text;
}

/** States and outcomes in the colours of a traffic light; other words as they are. */
export function styledState(context: CliContext, word: string): string {
  const style = STATES[word.trim()];
  return style === undefined ? word : styled(context, style, word);
}

const STATES: Readonly<Record<string, Style>> = {
  running: "cyan",
  waiting: "blue",
  succeeded: "green",
  done: "green",
  accepted: "green",
  asked: "yellow",
  declined: "yellow",
  parked: "yellow",
  failed: "red",
  timed_out: "red",
  stalled: "red",
  refused: "red",
};
