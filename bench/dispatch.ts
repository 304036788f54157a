import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readConversation, say, use } from "../demo/model/conversation.ts";
import type { LogLine } from "../demo/scenario/service.ts";
import { REPO } from "../demo/scenario/widgets.ts";
import { startWorld } from "../demo/scenario/world.ts";
import { freePort } from "./intake/free-port.ts";

const ISSUES = 20;
const PATIENCE_MS = 30_000;
const WEBHOOK = "/usr/bin/webhook";

/** Milliseconds from the delivery of one assignment to what followed. */
interface Timing {
  readonly started: number;
  readonly asked: number;
}

/**
 * How long it takes from a delivery to the CLI's start, and how much of the way to the first
 * question to the model that is: everything before the start is ours (durable record, reading the
 * forge, deciding, clone, prompt, jail), the rest is the CLI's own. Beside it adnanh/webhook, which
 * starts its command with what the delivery says: no record, no look at the forge, no clone, no jail.
 */
async function main(): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), "claude-hooks-bench-"));
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
    await beside(started, dir);
  } finally {
    await world.stop();
    await rm(dir, { recursive: true, force: true });
  }
}

async function beside(ours: number, dir: string): Promise<void> {
  if (!existsSync(WEBHOOK)) {
    console.log("adnanh/webhook is not measured: apt-get install webhook");
    return;
  }
  const theirs = await adnanhStarts(dir);
  console.log(
    `adnanh/webhook: delivery → command started p50 ${theirs.toFixed(1)} ms of ${ISSUES}; ours is ${(ours / theirs).toFixed(1)} of it`,
  );
}

/** Median milliseconds from sending a delivery to the time the command writes down first of all. */
async function adnanhStarts(dir: string): Promise<number> {
  const mark = join(dir, "started");
  const script = join(dir, "started.sh");
  await writeFile(
    script,
    `#!/bin/sh
date +%s%N > ${mark}.new; mv ${mark}.new ${mark}
`,
    { mode: 0o755 },
  );
  const hook = { id: "webhook", "execute-command": script };
  await writeFile(join(dir, "hooks.json"), JSON.stringify([hook]));
  const port = await freePort();
  const args = ["-hooks", join(dir, "hooks.json"), "-ip", "127.0.0.1", "-port", String(port)];
  const child = spawn(WEBHOOK, [...args, "-urlprefix", ""], { stdio: "ignore" });
  try {
    const url = `http://127.0.0.1:${port}/webhook`;
    const end = Date.now() + PATIENCE_MS;
    while ((await fetch(`http://127.0.0.1:${port}/`).catch(() => null)) === null) {
      if (Date.now() > end) throw new Error("adnanh/webhook does not answer");
      await Bun.sleep(20);
    }
    const times: number[] = [];
    for (let number = 1; number <= ISSUES; number += 1) {
      await rm(mark, { force: true });
      const sent = performance.timeOrigin + performance.now();
      await fetch(url, {
        method: "POST",
        body: "{}",
        headers: { "content-type": "application/json" },
      });
      await until(() => existsSync(mark));
      times.push(Number(await readFile(mark, "utf8")) / 1e6 - sent);
    }
    return median(times);
  } finally {
    child.kill("SIGKILL");
  }
}

function timeOf(line: LogLine | undefined): number {
  return Date.parse(String(line?.["time"]));
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

async function until(condition: () => boolean): Promise<void> {
  const end = Date.now() + PATIENCE_MS;
  while (!condition()) {
    if (Date.now() > end) throw new Error("the service did not get there in time");
    await Bun.sleep(5);
  }
}

await main();
