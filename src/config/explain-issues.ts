import type { z } from "zod";
import { describeValue } from "./describe-value.ts";
import { unknownKeyRemedy } from "./known-keys.ts";
import { type ConfigProblem, formatKey } from "./problem.ts";
import type { YamlDocument } from "./read-yaml.ts";

type Issue = z.core.$ZodIssue;

/** What the schema refused, key by key, with the value that stands there and what to write instead. */
export function explainIssues(issues: readonly Issue[], document: YamlDocument): ConfigProblem[] {
  const problems = issues.flatMap((issue) => explain(issue, document));
  // One value may break several rules; the first one says enough.
  const firsts = problems.filter(
    ({ key }, index) => problems.findIndex((other) => other.key === key) === index,
  );
  return firsts.slice(0, PROBLEMS_MAX);
}

/** Whether the value at this path is a secret, or may be one somebody wrote in the wrong form. */
export function isSecretPath(path: readonly PropertyKey[]): boolean {
  return SECRET_PATHS.some((pattern) => pattern.test(formatKey(path)));
}

/** The value at a path of the document, or undefined when there is none. */
export function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let current = value;
  for (const part of path) {
    if (typeof current !== "object" || current === null || !Object.hasOwn(current, part)) {
      return undefined;
    }
    current = (current as Readonly<Record<PropertyKey, unknown>>)[part];
  }
  return current;
}

const PROBLEMS_MAX = 50;

const SECRET_PATHS: readonly RegExp[] = [
  /^webhook\.secrets/,
  /^admin\.token/,
  /^agents\b.*\.token/,
  /^model\.(api_key|oauth_token)/,
  /^database/,
];

function explain(issue: Issue, document: YamlDocument): ConfigProblem[] {
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => {
      const path = [...issue.path, key];
      return {
        key: formatKey(path),
        // Nobody knows what an unknown key holds, so its text is not shown.
        value: describeValue(valueAt(document.value, path), true),
        remedy: unknownKeyRemedy(issue.path, key),
        line: document.lineOf(path),
      };
    });
  }
  const value = valueAt(document.value, issue.path);
  if (issue.code === "invalid_key") {
    return [
      {
        key: formatKey(issue.path),
        value: "not a name that can be used",
        remedy: issue.issues[0]?.message ?? issue.message,
        line: document.lineOf(issue.path),
      },
    ];
  }
  return [
    {
      key: formatKey(issue.path),
      value: describeValue(value, isSecretPath(issue.path)),
      remedy: remedyOf(issue),
      line: document.lineOf(issue.path),
    },
  ];
}

/** The schema's own words where it has some, else what follows from the kind of mistake. */
function remedyOf(issue: Issue): string {
  switch (issue.code) {
    case "invalid_type":
      return isDefaultMessage(issue) ? `write ${withArticle(issue.expected)}` : issue.message;
    case "invalid_value":
      return `use ${issue.values.length === 1 ? "" : "one of "}${issue.values.map(String).join(", ")}`;
    case "too_big":
      return isDefaultMessage(issue) ? `use at most ${issue.maximum}` : issue.message;
    case "too_small":
      return isDefaultMessage(issue) ? `use at least ${issue.minimum}` : issue.message;
    default:
      return issue.message;
  }
}

/** Messages of the schema begin in lower case; the library's own do not. */
function isDefaultMessage(issue: Issue): boolean {
  return /^(Invalid|Too )/.test(issue.message);
}

function withArticle(expected: string): string {
  const names: Readonly<Record<string, string>> = {
    object: "a mapping",
    record: "a mapping",
    array: "a list",
    boolean: "true or false",
    string: "a text",
    int: "a whole number",
    number: "a number",
  };
  return names[expected] ?? expected;
}
