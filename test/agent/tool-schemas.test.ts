import { describe, expect, test } from "bun:test";
import { FORGE_TOOLS } from "../../src/agent/tool-schemas.ts";
import type { ToolName } from "../../src/domain/tools.ts";

const long = "x".repeat(20_001);
const remark = { path: "src/a.ts", line: 1, body: "Why?" };

describe("what a tool takes", () => {
  test.each([
    ["open_pull_request", { title: "t", body: "b" }],
    ["hand_in", { summary: "s" }],
    ["hand_in", { summary: "s", answers: [{ comment_id: 7, body: "b" }] }],
    ["submit_review", { verdict: "approve", body: "b" }],
    ["submit_review", { verdict: "comment", body: "b", comments: [remark] }],
    ["request_merge", { summary: "s" }],
    ["decline_merge", { reason: "r" }],
    ["reply", { body: "b" }],
    ["ask_human", { question: "q" }],
  ] as const)("%s takes %j", (tool, input) => {
    expect(FORGE_TOOLS[tool].input.safeParse(input).data).toEqual(input);
  });

  test.each([
    ["open_pull_request", { title: "t" }],
    ["open_pull_request", { title: " ", body: "b" }],
    ["open_pull_request", { title: "x".repeat(256), body: "b" }],
    ["open_pull_request", { title: "t", body: "b", base: "main" }],
    ["hand_in", { summary: "s", answers: [{ comment_id: 1.5, body: "b" }] }],
    ["hand_in", { summary: "s", answers: [{ comment_id: "1", body: "b" }] }],
    ["hand_in", { summary: "s", answers: [{ comment_id: 1, body: "b", repo: "x" }] }],
    ["hand_in", { summary: "s", answers: Array(101).fill({ comment_id: 1, body: "b" }) }],
    ["submit_review", { verdict: "merge", body: "b" }],
    ["submit_review", { verdict: "approve", body: "b", comments: [{ ...remark, line: 0 }] }],
    [
      "submit_review",
      { verdict: "approve", body: "b", comments: [{ ...remark, path: "x".repeat(1_001) }] },
    ],
    ["request_merge", { summary: long }],
    ["decline_merge", {}],
    ["reply", { body: long }],
    ["reply", { body: "b", issue: 2 }],
    ["ask_human", { question: "" }],
  ] as const)("%s refuses input number %#", (tool: ToolName, input: unknown) => {
    expect(FORGE_TOOLS[tool].input.safeParse(input).success).toBe(false);
  });
});
