import { expect, test } from "bun:test";
import { readFile } from "node:fs/promises";
import { configJsonSchema, nearest } from "../../src/config/known-keys.ts";
import { NOT_IN_FORCE } from "../../src/config/not-in-force.ts";

interface Node {
  readonly properties?: Record<string, Node>;
  readonly additionalProperties?: Node | boolean;
  readonly items?: Node;
  readonly anyOf?: readonly Node[];
  readonly description?: string;
}

/** Dotted names of all keys: `repositories[].name`, `agents.<name>.login`. */
function keysOf(node: Node, prefix: string): string[] {
  const more = node.additionalProperties;
  return [
    ...Object.entries(node.properties ?? {}).flatMap(([name, child]) => {
      const key = prefix === "" ? name : `${prefix}.${name}`;
      return [key, ...keysOf(child, key)];
    }),
    ...(node.items === undefined ? [] : keysOf(node.items, `${prefix}[]`)),
    ...(typeof more === "object" ? keysOf(more, `${prefix}.<name>`) : []),
    ...(node.anyOf ?? []).flatMap((one) => keysOf(one, prefix)),
  ];
}

/** The parts of a secret's reference and of small mappings are told with their parent. */
const ALL_KEYS = [...new Set(keysOf(configJsonSchema() as Node, ""))].filter(
  (key) => !/\.(file|env)$|secrets\[\]/.test(key),
);

test("the JSON schema names every key of the contract", () => {
  expect(ALL_KEYS).toContain("repositories[].approvals.people");
  expect(ALL_KEYS).toContain("agents.<name>.git.email");
  expect(ALL_KEYS.filter((key) => key.startsWith("limits.")).sort()).toEqual(
    [
      "runs runs_per_agent runs_per_item review_rounds failures check_rounds checks_minutes",
      "run_minutes stall_minutes grace_hours usd_per_run usd_per_item usd_per_day tokens_per_day",
      "resumes context_tokens session_days transcript_days delivery_days body_bytes queue disk_gb disk_gb_per_repository",
    ]
      .join(" ")
      .split(" ")
      .map((name) => `limits.${name}`)
      .sort(),
  );
});

test("docs/configuration.md tells every key, and no other", async () => {
  const text = await readFile(new URL("../../docs/configuration.md", import.meta.url), "utf8");

  const told = [...text.matchAll(/^\| `([^`]+)` \|/gm)].map((match) => match[1] ?? "");

  const leaves = ALL_KEYS.filter((key) => !ALL_KEYS.some((one) => one.startsWith(`${key}.`)));
  const containers = ["agents", "repositories"];
  expect(told.sort()).toEqual(leaves.filter((key) => !containers.includes(key)).sort());
});

test("docs/configuration.md says which keys are not in force", async () => {
  const text = await readFile(new URL("../../docs/configuration.md", import.meta.url), "utf8");

  for (const key of Object.keys(NOT_IN_FORCE)) {
    const row = text.split("\n").find((line) => line.startsWith(`| \`${key}\` |`));
    expect(row).toContain("not in force yet");
  }
});

test("the keys that are not in force are keys", () => {
  for (const key of Object.keys(NOT_IN_FORCE)) {
    expect(ALL_KEYS).toContain(key);
  }
});

const NEAREST: readonly (readonly [string, string | null])[] = [
  ["runz", "runs"],
  ["run", "runs"],
  ["Queue", "queue"],
  ["usd-per-day", "usd_per_day"],
  ["elephant", null],
  ["x".repeat(100_000), null],
];

for (const [word, expected] of NEAREST) {
  test(`the key nearest to ${word.slice(0, 20)} is ${expected}`, () => {
    const found = nearest(word, ["runs", "queue", "usd_per_day"]);

    expect(found).toBe(expected);
  });
}
