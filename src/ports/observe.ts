/** Fixed keys of a log line, in the words of the glossary. */
export interface LogFields {
  readonly delivery?: string;
  readonly repo?: string;
  readonly number?: number;
  readonly agent?: string;
  readonly skill?: string;
  readonly run?: string;
  readonly attempt?: number;
  readonly session?: string;
  readonly outcome?: string;
  readonly [key: string]: unknown;
}

/** Structured log: the message is static, what varies is a field. Never a token, a body or a prompt. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

/** The counters and gauges of the contract. */
export interface Metrics {
  delivery(status: string): void;
  decision(decision: string): void;
  runEnded(run: { agent: string; skill: string; outcome: string; seconds: number }): void;
  usd(agent: string, amount: number): void;
  tokens(
    agent: string,
    kind: "input" | "output" | "cache_read" | "cache_write",
    count: number,
  ): void;
  resumed(result: "resumed" | "lost"): void;
}

/** Append-only record of what mattered; refusals before the signature holds are one line per reason and minute. */
export interface Audit {
  append(kind: string, fields: Readonly<Record<string, unknown>>): void;
}

/** Finds secrets of the service in text that is about to leave it. */
export interface SecretScan {
  /** Whether a known secret, one of its encodings or a tell-tale part of one stands in the text. */
  holds(text: string): boolean;
}
