import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readConversation, say, use } from "../demo/model/conversation.ts";
import type { LogLine } from "../demo/scenario/service.ts";
import { REPO } from "../demo/scenario/widgets.ts";
import { startWorld } from "../demo/scenario/world.ts";
import { stubStarts } from "./dispatch/stub-starts.ts";
import { median } from "./median.ts";

const ISSUES = 20;
const PATIENCE_MS = 30_000;

/** Milliseconds from the delivery of one assignment to what followed. */
interface Timing {
  readonly started: number;
  readonly asked: number;
}

/**
 * How long it takes from a delivery to the CLI's start, and how much of the way to the first
 * question to the model that is: everything before the start is ours (durable record, reading the
 * forge, deciding, clone, prompt, jail), the rest is the CLI's own. Then the engine alone, beside
 * adnanh/webhook, which starts its command with what the delivery says and records nothing.
 */
async function main(): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), "claude-hooks-bench-"));
  try {
    await wholeWay(dir);
    await besideAdnanh(dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

async function wholeWay(dir: string): Promise<void> {
  const firstRequest = new Map<number, number>();
  const lines: LogLine[] = [];
  const world = await startWorld({
    dir,
    sandbox: "bwrap",
    sweepSeconds: 3600,
    modelKey: "sk-scripted-model",
    onLog: (line) => lines.push(line),
    respond: (request) => {
      const talk = readConversation(request);
      if (talk === null) return say("ok");
      if (talk.calls.length > 0) return say("asked");
      firstRequest.set(talk.number, Date.now());
      return use("mcp__forge__ask_human", { question: "Which one?" });
    },
  });
  try {
    const timings: Timing[] = [];
    for (let number = 1; number <= ISSUES; number += 1) {
      const issue = { title: `Question ${number}`, body: "?", assignees: ["boss"] };
      await world.api("alice", "POST", `/repos/${REPO}/issues`, issue);
      const find = (msg: string): LogLine | undefined =>
        lines.find((line) => line.msg === msg && line["number"] === number);
      await until(() => find("run ended") !== undefined);
      const delivered = timeOf(find("delivery"));
      timings.push({
        started: timeOf(find("cli started")) - delivered,
        asked: (firstRequest.get(number) ?? Number.NaN) - delivered,
      });
    }
    const started = median(timings.map((timing) => timing.started));
    const asked = median(timings.map((timing) => timing.asked));
    const ours = Math.round((100 * started) / asked);
    console.log(`delivery → CLI started   p50 ${started} ms of ${ISSUES}`);
    console.log(`delivery → first request p50 ${asked} ms; ours ${ours} %`);
  } finally {
    await world.stop();
  }
}

/** The same command, started by our engine and by adnanh/webhook; without forge, workspace and jail. */
async function besideAdnanh(dir: string): Promise<void> {
  const { first, later } = await stubStarts(dir);
  for (const [which, { ours, theirs }] of [
    [`the first ${first.deliveries} after a start`, first],
    [`the ${later.deliveries} after them`, later],
  ] as const) {
    const beside =
      theirs === null
        ? "adnanh/webhook is not measured: apt-get install webhook"
        : `adnanh/webhook ${theirs.ms.toFixed(1)} ms; ours is ${theirs.ratio.toFixed(2)} of it`;
    console.log(`delivery → stub started, engine alone, p50 of ${which}: ${ours.toFixed(1)} ms`);
    console.log(`  ${beside}`);
  }
}

function timeOf(line: LogLine | undefined): number {
  return Date.parse(String(line?.["time"]));
}

async function until(condition: () => boolean): Promise<void> {
  const end = Date.now() + PATIENCE_MS;
  while (!condition()) {
    if (Date.now() > end) throw new Error("the service did not get there in time");
    await Bun.sleep(5);
  }
}

await main();
