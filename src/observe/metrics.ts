import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { Metrics } from "../ports/observe.ts";

/** Numbers that are asked for when somebody reads the metrics. */
export interface Gauges {
  /** Work items whose turn has not come yet. */
  queueWaiting(): Promise<number>;
  /** Sessions that would be resumed. */
  sessions(): Promise<number>;
  /** All gates there are; left out: none. */
  gates?(): readonly { readonly name: string; readonly closed: boolean }[];
}

/** The metrics, and their text for whoever collects them. */
export interface MetricsOutput extends Metrics {
  /** The answer to `GET /metrics` in the Prometheus text format. A gauge that fails shows NaN. */
  render(): Promise<{ readonly contentType: string; readonly body: string }>;
}

const RUN_SECONDS = [5, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200];

/** The counters and gauges of the service in a registry of their own. */
export function createMetrics(gauges: Gauges): MetricsOutput {
  const registers = [new Registry()];
  const counter = (name: string, help: string, labelNames: string[] = []) =>
    new Counter({ name, help, labelNames, registers });
  const deliveries = counter("claude_hooks_deliveries_total", "Deliveries by answer.", ["status"]);
  const decisions = counter("claude_hooks_decisions_total", "Decisions by kind.", ["decision"]);
  const runs = counter("claude_hooks_runs_total", "Ended runs.", ["agent", "skill", "outcome"]);
  const seconds = new Histogram({
    name: "claude_hooks_run_seconds",
    help: "Duration of ended runs in seconds.",
    buckets: RUN_SECONDS,
    registers,
  });
  const usd = counter("claude_hooks_usd_total", "US dollars spent.", ["agent"]);
  const tokens = counter("claude_hooks_tokens_total", "Tokens used.", ["agent", "kind"]);
  const resumes = counter("claude_hooks_resumes_total", "Attempts to resume.", ["result"]);
  gauge("claude_hooks_queue_waiting", "Waiting work items.", gauges.queueWaiting, registers);
  gauge("claude_hooks_sessions", "Sessions that would be resumed.", gauges.sessions, registers);
  new Gauge({
    name: "claude_hooks_gate_closed",
    help: "1 while no new run begins behind the gate.",
    labelNames: ["gate"],
    registers,
    collect() {
      this.reset();
      for (const { name, closed } of gauges.gates?.() ?? [])
        this.set({ gate: name }, Number(closed));
    },
  });
  // Known from the start, so that a rate over them begins at zero.
  for (const status of ["accepted", "duplicate", "ignored", "refused"]) {
    deliveries.inc({ status }, 0);
  }
  for (const result of ["resumed", "lost"]) {
    resumes.inc({ result }, 0);
  }
  return {
    delivery: (status) => deliveries.inc({ status }),
    decision: (decision) => decisions.inc({ decision }),
    runEnded: (run) => {
      runs.inc({ agent: run.agent, skill: run.skill, outcome: run.outcome });
      seconds.observe(amount(run.seconds));
    },
    usd: (agent, spent) => usd.inc({ agent }, amount(spent)),
    tokens: (agent, kind, used) => tokens.inc({ agent, kind }, amount(used)),
    resumed: (result) => resumes.inc({ result }),
    render: async () => {
      const [registry] = registers;
      return { contentType: registry?.contentType ?? "", body: (await registry?.metrics()) ?? "" };
    },
  };
}

function gauge(name: string, help: string, read: () => Promise<number>, registers: Registry[]) {
  return new Gauge({
    name,
    help,
    registers,
    async collect() {
      try {
        this.set(await read());
      } catch {
        // One number that cannot be read must not take the others away.
        this.set(Number.NaN);
      }
    },
  });
}

/** A counter only rises: the library throws at a negative or infinite step, a run must not fail by it. */
function amount(value: number): number {
  return Number.isFinite(value) && value > 0 ? value : 0;
}
