import { expect, test } from "bun:test";
import { createMetrics } from "../../src/observe/metrics.ts";

const gauges = { queueWaiting: async () => 3, sessions: async () => 7 };

async function linesOf(metrics: ReturnType<typeof createMetrics>): Promise<string[]> {
  return (await metrics.render()).body.split("\n").filter((line) => !line.startsWith("#"));
}

test("every metric of the contract is there under its name and labels", async () => {
  const metrics = createMetrics(gauges);

  metrics.delivery("accepted");
  metrics.decision("run");
  metrics.runEnded({ agent: "boss", skill: "implement", outcome: "succeeded", seconds: 42 });
  metrics.usd("boss", 0.25);
  metrics.usd("boss", 0.5);
  metrics.tokens("boss", "cache_read", 1000);
  metrics.resumed("lost");
  const lines = await linesOf(metrics);

  for (const line of [
    'claude_hooks_deliveries_total{status="accepted"} 1',
    'claude_hooks_deliveries_total{status="refused"} 0',
    'claude_hooks_decisions_total{decision="run"} 1',
    'claude_hooks_runs_total{agent="boss",skill="implement",outcome="succeeded"} 1',
    'claude_hooks_run_seconds_bucket{le="60"} 1',
    'claude_hooks_run_seconds_bucket{le="30"} 0',
    "claude_hooks_run_seconds_sum 42",
    "claude_hooks_run_seconds_count 1",
    'claude_hooks_usd_total{agent="boss"} 0.75',
    'claude_hooks_tokens_total{agent="boss",kind="cache_read"} 1000',
    "claude_hooks_queue_waiting 3",
    "claude_hooks_sessions 7",
    'claude_hooks_resumes_total{result="lost"} 1',
    'claude_hooks_resumes_total{result="resumed"} 0',
  ]) {
    expect(lines).toContain(line);
  }
});

test("every gate is there, and is 1 while it is closed", async () => {
  let closed = true;
  const metrics = createMetrics({
    ...gauges,
    gates: () => [
      { name: "forge", closed: false },
      { name: "model:1", closed },
    ],
  });
  expect(await linesOf(metrics)).toContain('claude_hooks_gate_closed{gate="model:1"} 1');
  closed = false;
  const lines = await linesOf(metrics);
  expect(lines).toContain('claude_hooks_gate_closed{gate="forge"} 0');
  expect(lines).toContain('claude_hooks_gate_closed{gate="model:1"} 0');
});

test("the answer carries the content type of the Prometheus text format", async () => {
  const { contentType } = await createMetrics(gauges).render();

  expect(contentType).toStartWith("text/plain; version=0.0.4");
});

test("two sets of metrics do not know of each other", async () => {
  const first = createMetrics(gauges);
  const second = createMetrics(gauges);

  first.delivery("accepted");

  expect(await linesOf(second)).toContain('claude_hooks_deliveries_total{status="accepted"} 0');
});

test("a gauge that cannot be read takes no other number away", async () => {
  const metrics = createMetrics({
    ...gauges,
    sessions: () => Promise.reject(new Error("database is closed")),
  });

  const lines = await linesOf(metrics);

  expect(lines).toContain("claude_hooks_queue_waiting 3");
  expect(lines.join("\n")).toMatch(/claude_hooks_sessions nan/i);
});

test("a step that no counter can take counts as nothing", async () => {
  const metrics = createMetrics(gauges);

  metrics.usd("boss", -1);
  metrics.usd("boss", Number.NaN);
  metrics.tokens("boss", "input", Number.POSITIVE_INFINITY);

  expect(await linesOf(metrics)).toContain('claude_hooks_usd_total{agent="boss"} 0');
});
