import { describe, expect, test } from "bun:test";
import type { AgentEnd } from "../../src/ports/agent.ts";
import type { RunMeter } from "../../src/ports/gateway.ts";
import { blockerOf } from "../../src/run/blocked.ts";

const METER: RunMeter = {
  tokens: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 },
  usd: 0,
  requests: 1,
  contextTokens: 0,
  retryAt: null,
};
const gate = "model:1";
type Wait = Extract<AgentEnd, { kind: "wait" }>["reason"];
const wait = (reason: Wait, retryAt: number | null = null): AgentEnd => ({
  kind: "wait",
  reason,
  message: "m",
  retryAt,
});
const operator = (reason: Extract<AgentEnd, { kind: "operator" }>["reason"]): AgentEnd => ({
  kind: "operator",
  reason,
  message: "m",
});

describe("what the CLI says closes the gate for everybody", () => {
  test.each([
    [wait("usage_limit"), 429],
    [wait("rate_limit"), 429],
    [wait("overloaded"), 529],
    [wait("server"), 502],
    [wait("network"), null],
    [operator("auth"), 401],
    [operator("auth"), 403],
    [operator("credit"), 400],
    [operator("credit"), 402],
  ] as const)("%j when the gateway has seen %p", (end, status) => {
    const meter = { ...METER, refusal: { status } };
    expect(blockerOf(end, { gate, meter })).toMatchObject({ name: gate, until: null });
    // An agent with a shell may say so in the CLI's place.
    expect(blockerOf(end, { gate, meter: METER })).toBeNull();
    expect(blockerOf(end, { gate, meter: { ...METER, refusal: null } })).toBeNull();
    const other = { ...METER, refusal: { status: 418 } };
    expect(blockerOf(end, { gate, meter: other })).toBeNull();
  });

  test("until the time the gateway has heard, and never the one the CLI tells", () => {
    const seen = { ...METER, refusal: { status: 429 } };
    const lie = wait("usage_limit", 9e15);
    expect(blockerOf(lie, { gate, meter: seen })?.until).toBeNull();
    const told = { ...seen, retryAt: 5, limitResetsAt: 7 };
    expect(blockerOf(lie, { gate, meter: told })?.until).toBe(7);
    expect(blockerOf(wait("rate_limit"), { gate, meter: told })?.until).toBe(5);
  });

  test.each([
    operator("model"),
    operator("config"),
    operator("launch"),
    wait("transcripts"),
    { kind: "completed", text: "" },
    { kind: "died", message: "" },
    { kind: "interrupted" },
    { kind: "refusal", message: "" },
  ] as AgentEnd[])("but %j is the run's own affair", (end) => {
    const meter = { ...METER, refusal: { status: 429 } };
    expect(blockerOf(end, { gate, meter })).toBeNull();
  });
});
