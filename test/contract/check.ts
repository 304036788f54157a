import { isDeepStrictEqual } from "node:util";

/** One thing that was looked at: `what`, what it should be and what it was. */
export type Finding = { what: string; expected: string; seen: string; holds: boolean };

/**
 * Collects what a case sees. Nothing throws: a case goes on after a mismatch, so that one run
 * against a real server shows all of them.
 */
export type Check = {
  findings: Finding[];
  /** The value is equal, deeply. */
  same: (what: string, expected: unknown, seen: unknown) => void;
  /** The value is one of several that are allowed. */
  oneOf: (what: string, allowed: readonly unknown[], seen: unknown) => void;
  /** A statement in words holds. */
  that: (what: string, holds: boolean, seen: unknown) => void;
};

/** @returns an empty check. */
export function createCheck(): Check {
  const findings: Finding[] = [];
  const add = (what: string, expected: string, seen: unknown, holds: boolean): void => {
    findings.push({ what, expected, seen: show(seen), holds });
  };
  return {
    findings,
    same: (what, expected, seen) =>
      add(what, show(expected), seen, isDeepStrictEqual(expected, seen)),
    oneOf: (what, allowed, seen) =>
      add(
        what,
        `one of ${allowed.map(show).join(" ")}`,
        seen,
        allowed.some((one) => isDeepStrictEqual(one, seen)),
      ),
    that: (what, holds, seen) => add(what, "true", seen, holds),
  };
}

/** @returns a finding as one line: `what: expected … / seen …`. */
export function findingLine(finding: Finding): string {
  const mark = finding.holds ? "ok  " : "FAIL";
  return `  ${mark} ${finding.what}: expected ${finding.expected} / seen ${finding.seen}`;
}

function show(value: unknown): string {
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? String(value));
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}
