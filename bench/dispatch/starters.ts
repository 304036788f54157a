import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { freePort } from "../intake/free-port.ts";
import { SECRET } from "../intake/payload.ts";

const PATIENCE_MS = 30_000;
const WEBHOOK = "/usr/bin/webhook";

/** Who starts a stub for each delivery, as a process of its own. */
interface Starter {
  readonly url: string;
  readonly child: ChildProcess;
}

/** Our engine and, where it is installed, adnanh/webhook. */
export interface Starters {
  /** Ours first. */
  readonly urls: readonly string[];
  /** When the stub of each issue was started first, in epoch milliseconds. */
  starts(): Promise<ReadonlyMap<number, number>>;
  /** Forgets the starts there were. */
  forget(): Promise<void>;
  [Symbol.dispose](): void;
}

/**
 * Starts both in `dir` with the same stub: a shell script that is told the number, notes it
 * with the time as the first thing it does, and ends after `lifeSeconds`.
 */
export async function startStarters(dir: string, lifeSeconds: number): Promise<Starters> {
  await mkdir(dir);
  const started = join(dir, "started");
  const stub = join(dir, "stub.sh");
  await writeFile(stub, `#!/bin/sh\ndate "+$1 %s%N" >> ${started}\nsleep ${lifeSeconds}\n`, {
    mode: 0o755,
  });
  const ours = await startEngine(dir, stub);
  const theirs = existsSync(WEBHOOK) ? await startAdnanh(dir, stub) : null;
  return {
    urls: theirs === null ? [ours.url] : [ours.url, theirs.url],
    async starts() {
      const text = existsSync(started) ? await readFile(started, "utf8") : "";
      // The last line may still be being written.
      const lines = text.split("\n").slice(0, -1);
      const times = new Map<number, number>();
      for (const line of lines) {
        const [number, nanoseconds] = line.split(" ").map(Number);
        if (number !== undefined && nanoseconds !== undefined && !times.has(number)) {
          times.set(number, nanoseconds / 1e6);
        }
      }
      return times;
    },
    async forget() {
      await rm(started, { force: true });
    },
    [Symbol.dispose]() {
      ours.child.kill("SIGKILL");
      theirs?.child.kill("SIGKILL");
    },
  };
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
  const hook = {
    id: "webhook",
    "execute-command": stub,
    "pass-arguments-to-command": [{ source: "payload", name: "number" }],
    "trigger-rule": { match },
  };
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

/** Resolves when the stub of this issue was started, with the time, in epoch milliseconds. */
export async function startOf(starters: Starters, number: number): Promise<number> {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const start = (await starters.starts()).get(number);
    if (start !== undefined) return start;
    if (Date.now() > end) throw new Error(`the stub of #${number} did not start in time`);
    await Bun.sleep(1);
  }
}
