import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readConversation, say, use } from "../demo/model/conversation.ts";
import type { LogLine } from "../demo/scenario/service.ts";
import { REPO } from "../demo/scenario/widgets.ts";
import { startWorld } from "../demo/scenario/world.ts";
import { loneDeliveries } from "./dispatch/lone-deliveries.ts";
import type { Beside } from "./dispatch/starters.ts";
import { DELIVERIES_PER_SECOND, ROUND_SECONDS, underLoad } from "./dispatch/under-load.ts";
import { median } from "./median.ts";

const ISSUES = 20;
const PATIENCE_MS = 30_000;
/** Lone deliveries just after a start run code that nothing has warmed up; they are counted by themselves. */
const COLD_DELIVERIES = 40;
const RATIOS_SHOWN_MAX = 5;

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
  console.log("delivery → stub started, engine alone:");
  const rounds = await underLoad(join(dir, "load"));
  const load = `${DELIVERIES_PER_SECOND} deliveries a second for ${ROUND_SECONDS} s`;
  tell(`p50 at ${load}, one in five twice, rounds`, part(rounds, 1));
  tell("  the round before them, just started", part(rounds, 0, 1));
  const lone = await loneDeliveries(join(dir, "lone"));
  tell(
    `p50 of lone deliveries, the first ${COLD_DELIVERIES} after a start`,
    part(lone, 0, COLD_DELIVERIES),
  );
  tell(`  the ${lone.ours.length - COLD_DELIVERIES} after them`, part(lone, COLD_DELIVERIES));
}

function part({ ours, theirs }: Beside, from: number, to?: number): Beside {
  return { ours: ours.slice(from, to), theirs: theirs.slice(from, to) };
}

/** Medians of both, and of the ratios of what was measured together. */
function tell(what: string, { ours, theirs }: Beside): void {
  const ratios = ours.map((ms, at) => ms / (theirs[at] ?? Number.NaN));
  const all = ratios.length <= RATIOS_SHOWN_MAX ? ` (${ratios.map(short).join(" ")})` : "";
  const beside =
    theirs.length === 0
      ? "adnanh/webhook is not measured: apt-get install webhook"
      : `adnanh/webhook ${short(median(theirs))} ms; ours is ${short(median(ratios))} of it${all}`;
  console.log(`${what}: ${short(median(ours))} ms; ${beside}`);
}

const short = (value: number): string => value.toFixed(2);

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
