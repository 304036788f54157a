import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { execa } from "execa";
import { readConversation, say, use } from "../demo/model/conversation.ts";
import { REPO } from "../demo/scenario/widgets.ts";
import { startWorld } from "../demo/scenario/world.ts";
import { freePort } from "./intake/free-port.ts";
import type { LoadResult } from "./intake/load.ts";
import { SECRET } from "./intake/payload.ts";
import { type Syncs, syncsOf } from "./intake/syncs.ts";
import { median } from "./median.ts";

const ROUNDS = 5;
/** Load before anything counts: by then everything is compiled, as in a service that has run a while. */
const WARM_SECONDS = 3;
const CLOSED_SECONDS = 4;
const OPEN_SECONDS = 5;
const OPEN_RATE = 200;
const AGENTS_BUSY = 8;
const PROBOT = "probot@14.3.2";

/** A receiver of deliveries as a process of its own; `start` resolves when it listens. */
interface Receiver {
  readonly name: string;
  readonly durable: boolean;
  start(dir: string): Promise<{ readonly url: string; readonly stop: () => Promise<void> }>;
}

/**
 * The same deliveries of 10 kB (each with its own id and body) to the floor, to our intake and to
 * what else would be taken for the job, one after the other in every round: how many are answered
 * per second over 32 connections, and how long an answer takes at 200 a second. Each is warmed up
 * first. After each round the disk is timed alone: appends with fdatasync, one directly after the other
 * and at the pace of the open loop. Then, once, the whole service at 200 a second while eight agents
 * work. Receiver and load have a core each where there are two. Prints medians and the ratios of each
 * round, never a verdict.
 */
async function main(): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), "claude-hooks-bench-"));
  try {
    const receivers = [floor, durableFloor, ours, ...(await peers(dir))];
    const rates = new Map(receivers.map(({ name }) => [name, [] as LoadResult[]]));
    const delays = new Map(receivers.map(({ name }) => [name, [] as LoadResult[]]));
    const syncs: Syncs[] = [];
    for (let round = 1; round <= ROUNDS; round += 1) {
      for (const receiver of receivers) {
        const place = join(dir, `${receiver.name.replaceAll(/\W/g, "-")}-${round}`);
        await mkdir(place);
        const { url, stop } = await receiver.start(place);
        await load(url, [String(WARM_SECONDS)]);
        rates.get(receiver.name)?.push(await load(url, [String(CLOSED_SECONDS)]));
        delays.get(receiver.name)?.push(await load(url, [String(OPEN_SECONDS), String(OPEN_RATE)]));
        await stop();
      }
      syncs.push(await syncsOf(join(dir, `sync-${round}`), OPEN_RATE));
    }
    print({ receivers, rates, delays, syncs });
    await underWork(dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

const floor: Receiver = {
  name: "floor: Bun.serve, HMAC, parse",
  durable: false,
  start: async () => await listening([process.execPath, here("intake/floor.ts")]),
};

const durableFloor: Receiver = {
  name: "floor with a shared fdatasync",
  durable: true,
  start: async (dir) => await listening([process.execPath, here("intake/floor.ts"), dir]),
};

const ours: Receiver = {
  name: "claude-hooks intake",
  durable: true,
  start: async (dir) => await listening([process.execPath, here("intake/ours.ts"), dir]),
};

/** Those that are installed, or can be (`BENCH_PEERS`: a directory with probot in it); what is missing is said. */
async function peers(dir: string): Promise<readonly Receiver[]> {
  const found: Receiver[] = [];
  if (existsSync("/usr/bin/webhook")) found.push(adnanh);
  else console.log("adnanh/webhook is not measured: apt-get install webhook");
  const given = process.env["BENCH_PEERS"];
  if (given !== undefined) return [...found, probot(given)];
  const peerDir = join(dir, "peers");
  await mkdir(peerDir);
  await writeFile(join(peerDir, "package.json"), "{}");
  const install = await execa("npm", ["install", "--ignore-scripts", PROBOT], {
    cwd: peerDir,
    reject: false,
    timeout: 180_000,
  });
  if (install.exitCode === 0) found.push(probot(peerDir));
  else console.log(`${PROBOT} is not measured: npm could not install it`);
  return found;
}

const adnanh: Receiver = {
  name: "adnanh/webhook, /bin/true",
  durable: false,
  async start(dir) {
    const port = await freePort();
    const hooks = [
      {
        id: "webhook",
        "execute-command": "/bin/true",
        "trigger-rule": {
          match: {
            type: "payload-hmac-sha256",
            secret: SECRET,
            parameter: { source: "header", name: "X-Hub-Signature-256" },
          },
        },
      },
    ];
    await writeFile(join(dir, "hooks.json"), JSON.stringify(hooks));
    const args = ["-hooks", join(dir, "hooks.json"), "-ip", "127.0.0.1", "-port", String(port)];
    const child = pinned(["/usr/bin/webhook", ...args, "-urlprefix", ""], {});
    await answering(port);
    return { url: `http://127.0.0.1:${port}/webhook`, stop: async () => await ended(child) };
  },
};

function probot(peerDir: string): Receiver {
  return {
    name: "probot, empty handler",
    durable: false,
    async start() {
      const port = await freePort();
      const env = { PEERS: peerDir, SECRET, PORT: String(port), NODE_ENV: "production" };
      const child = pinned(["node", here("intake/probot.mjs")], env);
      await answering(port);
      return { url: `http://127.0.0.1:${port}/webhook`, stop: async () => await ended(child) };
    },
  };
}

/** Eight agents run commands in their jails while the service takes in 200 deliveries a second. */
async function underWork(dir: string): Promise<void> {
  const secretDir = join(dir, "service");
  await mkdir(secretDir);
  let isOver = false;
  const world = await startWorld({
    dir: secretDir,
    sandbox: "bwrap",
    sweepSeconds: 3600,
    modelKey: "sk-scripted-model",
    more: `limits: { runs: ${AGENTS_BUSY}, runs_per_agent: ${AGENTS_BUSY} }`,
    onLog: () => undefined,
    respond: async (request) => {
      if (readConversation(request) === null || isOver) return say("done");
      return use("Bash", { command: "git log --stat > log.txt; sha256sum log.txt; sleep 0.2" });
    },
  });
  try {
    for (let number = 1; number <= AGENTS_BUSY; number += 1) {
      const issue = { title: `Work ${number}`, body: "", assignees: ["boss"] };
      await world.api("alice", "POST", `/repos/${REPO}/issues`, issue);
    }
    const busy = () =>
      new Set(world.model?.requests.map((request) => readConversation(request)?.number)).size;
    const patience = Date.now() + 60_000;
    while (busy() < AGENTS_BUSY && Date.now() < patience) await Bun.sleep(50);
    const result = await load(
      world.service.webhook,
      [String(OPEN_SECONDS), String(OPEN_RATE)],
      world.serviceOptions.webhookSecret,
    );
    console.log(
      `\nthe service with ${busy()} agents at work, ${OPEN_RATE}/s: p50 ${ms(result.p50)}, p99 ${ms(result.p99)}, refused ${result.refused}`,
    );
  } finally {
    isOver = true;
    await world.stop();
  }
}

function print(measured: {
  readonly receivers: readonly Receiver[];
  readonly rates: ReadonlyMap<string, readonly LoadResult[]>;
  readonly delays: ReadonlyMap<string, readonly LoadResult[]>;
  readonly syncs: readonly Syncs[];
}): void {
  const rates = ({ name }: Receiver) => (measured.rates.get(name) ?? []).map(({ rate }) => rate);
  const open = ({ name }: Receiver) => measured.delays.get(name) ?? [];
  for (const receiver of measured.receivers) {
    // The machine may be another one a minute later: what is compared is of one round.
    const ratios = rates(ours).map((rate, round) => rate / (rates(receiver)[round] ?? Number.NaN));
    console.log(
      [
        receiver.name.padEnd(32),
        `${Math.round(median(rates(receiver)))}/s`.padStart(8),
        receiver === ours ? "" : `ours is ${median(ratios).toFixed(2)} of it (${list(ratios)})`,
        `at ${OPEN_RATE}/s: p50 ${ms(median(open(receiver).map(({ p50 }) => p50)))}, p99 ${ms(median(open(receiver).map(({ p99 }) => p99)))}`,
        receiver.durable ? `(p99 ${list(open(receiver).map(({ p99 }) => p99))})` : "",
        receiver.durable ? "durable" : "keeps nothing",
      ].join("  "),
    );
  }
  const { syncs } = measured;
  const over = open(ours).map(
    ({ p50 }, round) =>
      (p50 - (open(floor)[round]?.p50 ?? Number.NaN)) / (syncs[round]?.paced.p50 ?? Number.NaN),
  );
  console.log(
    [
      `append and fdatasync of this disk: p50 ${ms(median(syncs.map(({ tight }) => tight)))} one after the other;`,
      `at ${OPEN_RATE}/s p50 ${ms(median(syncs.map(({ paced }) => paced.p50)))}, p99 ${ms(median(syncs.map(({ paced }) => paced.p99)))}`,
    ].join(" "),
  );
  console.log(
    `our p50 at ${OPEN_RATE}/s is the floor's plus ${median(over).toFixed(1)} such appends at that pace (${list(over)})`,
  );
}

async function load(url: string, args: readonly string[], secret = SECRET): Promise<LoadResult> {
  const command = [...core(1), process.execPath, here("intake/load.ts"), url, ...args];
  const [file = "", ...rest] = command;
  const { stdout } = await execa(file, rest, { env: { BENCH_SECRET: secret } });
  return JSON.parse(stdout);
}

/** Starts a receiver that prints its address as its first line. */
async function listening(command: readonly string[]) {
  const child = pinned(command, {});
  const { promise, resolve } = Promise.withResolvers<string>();
  if (child.stdout !== null) createInterface({ input: child.stdout }).once("line", resolve);
  child.once("exit", () => resolve(""));
  return { url: await promise, stop: async () => await ended(child) };
}

function pinned(command: readonly string[], env: Readonly<Record<string, string>>): ChildProcess {
  const [file = "", ...args] = [...core(0), ...command];
  return spawn(file, args, {
    stdio: ["ignore", "pipe", "ignore"],
    env: { PATH: process.env["PATH"] ?? "", HOME: tmpdir(), ...env },
  });
}

/** `taskset` for one core where the machine has two. */
function core(number: number): readonly string[] {
  const has = existsSync("/usr/bin/taskset") && navigator.hardwareConcurrency > 1;
  return has ? ["taskset", "-c", String(number)] : [];
}

async function ended(child: ChildProcess): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  child.once("exit", () => resolve());
  if (!child.kill("SIGKILL")) resolve();
  await promise;
}

async function answering(port: number): Promise<void> {
  const patience = Date.now() + 20_000;
  for (;;) {
    const answer = await fetch(`http://127.0.0.1:${port}/`).catch(() => null);
    if (answer !== null) return;
    if (Date.now() > patience) throw new Error(`nothing answers on port ${port}`);
    await Bun.sleep(50);
  }
}

function here(path: string): string {
  return join(import.meta.dir, path);
}

function list(ratios: readonly number[]): string {
  return ratios.map((ratio) => ratio.toFixed(2)).join(", ");
}

function ms(value: number): string {
  return `${value.toFixed(2)} ms`;
}

await main();
