const EXIT_USAGE = 2;

/** Says on standard error why the service does not start; returns the exit code. */
export function refuse(lines: readonly string[]): number {
  process.stderr.write(
    `claude-hooks: cannot start\n${lines.map((line) => `  ${line}\n`).join("")}`,
  );
  return EXIT_USAGE;
}
