import { destination, pino, stdTimeFunctions } from "pino";
import { prettyFactory } from "pino-pretty";
import type { Log, LogFields } from "../ports/observe.ts";
import type { Redactor } from "./redactor.ts";

/** Where lines go: anything with `write`, one whole line a call. */
export interface LogStream {
  write(line: string): void;
}

/** How the log looks, and where it goes. */
export interface LogOptions {
  readonly redactor: Redactor;
  /** `json`: one object a line; `pretty`: for people at a terminal. */
  readonly format: "json" | "pretty";
  /** Colours of the pretty format (a terminal without NO_COLOR). */
  readonly colour: boolean;
  readonly level: "debug" | "info" | "warn" | "error";
  readonly stream: LogStream;
}

/**
 * The structured log: `level` as a word, `time` as ISO 8601, `msg`, then the fields. Message and
 * fields pass through the redactor first. In the pretty format the message of a line that starts or
 * resumes a session is followed by the session's id.
 */
export function createLog(options: LogOptions): Log {
  const logger = pino(
    {
      base: null,
      level: options.level,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    options.format === "json" ? options.stream : prettyStream(options),
  );
  const write =
    (level: LogOptions["level"]) =>
    (message: string, fields: LogFields = {}) => {
      logger[level](plainFields(fields, options.redactor), options.redactor.text(message));
    };
  return { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") };
}

/**
 * Standard error as a stream for the log: written at once, so that a crash loses no line. A closed
 * pipe behind it is not the service's trouble: the lines are dropped.
 */
export function standardError(): LogStream {
  const stream = destination({ dest: 2, sync: true });
  stream.on("error", () => {
    // There is nowhere left to say it.
  });
  return stream;
}

/** Keys of the line itself; a field of that name would stand in the line twice. */
const RESERVED: readonly string[] = ["level", "time", "msg"];

function plainFields(fields: LogFields, redactor: Redactor): object {
  const renamed = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => [RESERVED.includes(key) ? `${key}_` : key, value]);
  return redactor.value(Object.fromEntries(renamed)) as object;
}

function prettyStream(options: LogOptions): LogStream {
  const format = prettyFactory({
    colorize: options.colour,
    singleLine: true,
    translateTime: "SYS:HH:MM:ss",
    messageFormat: (line, key) => {
      const { session } = line;
      const message = String(line[key]);
      return message.endsWith(" session") && typeof session === "string"
        ? `${message} ${session}`
        : message;
    },
  });
  return { write: (line) => options.stream.write(format(line)) };
}
