import { type ChildProcess, spawn } from "node:child_process";
import { createHmac, randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { freePort } from "../intake/free-port.ts";
import { SECRET } from "../intake/payload.ts";
import { median } from "../median.ts";

/** The first of a new process run code that nothing has warmed up; they are counted by themselves. */
const FIRST = 40;
const DELIVERIES = 140;
/** Between two deliveries, so that each finds nothing left of the one before. */
const QUIET_MS = 50;
const PATIENCE_MS = 30_000;
const WEBHOOK = "/usr/bin/webhook";

/** Who starts the stub, as a process of its own. */
interface Starter {
  readonly url: string;
  readonly child: ChildProcess;
}

/** Medians of some deliveries, in milliseconds. */
interface StubStarts {
  readonly ours: number;
  /** `ratio`: of ours to theirs, of each two turns; null where it is not installed. */
  readonly theirs: { readonly ms: number; readonly ratio: number } | null;
  readonly deliveries: number;
}

/**
 * How long it takes from sending a lone delivery (an assignment) to the first thing the command it
 * starts does: our engine (no forge, no workspace, see engine.ts) and adnanh/webhook take turns.
 */
export async function stubStarts(
  dir: string,
): Promise<{ readonly first: StubStarts; readonly later: StubStarts }> {
  const started = join(dir, "started");
  const stub = join(dir, "stub.sh");
  await writeFile(stub, `#!/bin/sh\ndate +%s%N > ${started}.new; mv ${started}.new ${started}\n`, {
    mode: 0o755,
  });
  const starters = [await startEngine(dir, stub)];
  if (existsSync(WEBHOOK)) starters.push(await startAdnanh(dir, stub));
  const times: number[][] = starters.map(() => []);
  try {
    const issue = await readIssue();
    for (let number = 1; number <= DELIVERIES; number += 1) {
      for (const [at, { url }] of starters.entries()) {
        await rm(started, { force: true });
        await Bun.sleep(QUIET_MS);
        const request = requestOf(issue, number);
        const sent = performance.timeOrigin + performance.now();
        const answer = await fetch(url, request);
        if (!answer.ok) throw new Error(`${url} answered ${answer.status}`);
        await until(() => existsSync(started));
        times[at]?.push(Number(await readFile(started, "utf8")) / 1e6 - sent);
      }
    }
  } finally {
    for (const { child } of starters) child.kill("SIGKILL");
  }
  const between = (from: number, to: number): StubStarts => {
    const [ours = [], theirs] = times.map((all) => all.slice(from, to));
    const ratios = ours.map((ms, turn) => ms / (theirs?.[turn] ?? Number.NaN));
    return {
      ours: median(ours),
      theirs: theirs === undefined ? null : { ms: median(theirs), ratio: median(ratios) },
      deliveries: to - from,
    };
  };
  return { first: between(0, FIRST), later: between(FIRST, DELIVERIES) };
}

async function startEngine(dir: string, stub: string): Promise<Starter> {
  const place = join(dir, "engine");
  await mkdir(place);
  const child = spawn(process.execPath, [join(import.meta.dir, "engine.ts"), place, stub], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  createInterface({ input: child.stdout }).once("line", resolve);
  child.once("exit", () => reject(new Error("the engine ended before it listened")));
  return { url: await promise, child };
}

/** It checks the signature, as ours does; everything else is its shortest way to a command. */
async function startAdnanh(dir: string, stub: string): Promise<Starter> {
  const match = {
    type: "payload-hmac-sha256",
    secret: SECRET,
    parameter: { source: "header", name: "X-Hub-Signature-256" },
  };
  const hook = { id: "webhook", "execute-command": stub, "trigger-rule": { match } };
  await writeFile(join(dir, "hooks.json"), JSON.stringify([hook]));
  const port = await freePort();
  const args = ["-hooks", join(dir, "hooks.json"), "-ip", "127.0.0.1", "-port", String(port)];
  const child = spawn(WEBHOOK, [...args, "-urlprefix", ""], { stdio: "ignore" });
  const end = Date.now() + PATIENCE_MS;
  while ((await fetch(`http://127.0.0.1:${port}/`).catch(() => null)) === null) {
    if (Date.now() > end) throw new Error("adnanh/webhook does not answer");
    await Bun.sleep(20);
  }
  return { url: `http://127.0.0.1:${port}/webhook`, child };
}

async function readIssue(): Promise<Record<string, unknown> & { issue: object }> {
  const name = "../../test/fixtures/forgejo/issues-assigned.json";
  return await Bun.file(new URL(name, import.meta.url)).json();
}

/** Each for another issue, so that nothing is known of it before. */
function requestOf(payload: { readonly issue: object }, number: number): RequestInit {
  const body = JSON.stringify({ ...payload, number, issue: { ...payload.issue, number } });
  const signature = createHmac("sha256", SECRET).update(body).digest("hex");
  const headers = {
    "content-type": "application/json",
    "x-forgejo-event-type": "issue_assign",
    "x-forgejo-delivery": randomUUID(),
    "x-forgejo-signature": signature,
    "x-hub-signature-256": `sha256=${signature}`,
  };
  return { method: "POST", body, headers };
}

async function until(condition: () => boolean): Promise<void> {
  const end = Date.now() + PATIENCE_MS;
  while (!condition()) {
    if (Date.now() > end) throw new Error("the stub did not start in time");
    await Bun.sleep(1);
  }
}
