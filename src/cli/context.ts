/** The process around a command, handed in so that no command reads it by itself. */
export interface CliContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly home: string;
  /** User id, or null where the system has none. */
  readonly uid: number | null;
  /** Path of the interpreter, to start the demo with. */
  readonly interpreter: string;
  /** Writes text as it is; a newline is part of it. */
  readonly print: (text: string) => void;
  readonly printError: (text: string) => void;
  /** Whether standard output takes colours. */
  readonly colour: boolean;
}

/** What every command is built with: the process around it, and where its exit code goes. */
export interface CommandSetting {
  readonly context: CliContext;
  readonly exit: (code: number) => void;
}

/** What a command exits with when it did what it was asked. */
export const EXIT_DONE = 0;
/** The command failed, or found problems. */
export const EXIT_FAILED = 1;
/** Wrong usage or configuration. */
export const EXIT_USAGE = 2;

/** A command that ends with a message for the person and an exit code other than 0 (1 unless given). */
export class CliFailure extends Error {
  override readonly name = "CliFailure";
  readonly exitCode: number;

  constructor(message: string, options: { exitCode?: number; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.exitCode = options.exitCode ?? EXIT_FAILED;
  }
}
