import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { freePort } from "../intake/free-port.ts";
import { SECRET } from "../intake/payload.ts";

const PATIENCE_MS = 30_000;
const WEBHOOK = "/usr/bin/webhook";

/** What was measured of our engine and of adnanh/webhook, in milliseconds and in turns; `theirs` is empty where it is not installed. */
export interface Beside {
  readonly ours: readonly number[];
  readonly theirs: readonly number[];
}

/** Our engine and, where it is installed, adnanh/webhook: both start a stub for each delivery. */
export interface Starters extends Disposable {
  /** Where deliveries are sent, ours first. */
  readonly urls: readonly string[];
  /** Forgets the starts there were. */
  forget(): Promise<void>;
  /**
   * When the stub of each of these issues was started first, in epoch milliseconds, once all were. Throws when
   * that does not happen within 30 s.
   */
  waitForStarts(numbers: readonly number[]): Promise<ReadonlyMap<number, number>>;
}

/**
 * Starts both in `dir`, which it makes, with the same stub: a shell script that is told the number,
 * notes it with the time as the first thing it does, and ends `stubSeconds` later. Throws when one of
 * them does not listen.
 */
export async function startStarters(dir: string, stubSeconds: number): Promise<Starters> {
  await mkdir(dir);
  const started = join(dir, "started");
  const stub = join(dir, "stub.sh");
  const lines = ["#!/bin/sh", `date "+$1 %s%N" >> ${started}`, `sleep ${stubSeconds}`, ""];
  await writeFile(stub, lines.join("\n"), { mode: 0o755 });
  const children: ChildProcess[] = [];
  const end = (): void => {
    for (const child of children) child.kill("SIGKILL");
  };
  try {
    const urls = [await startEngine(dir, stub, children)];
    if (existsSync(WEBHOOK)) urls.push(await startAdnanh(dir, stub, children));
    return {
      urls,
      async forget() {
        await rm(started, { force: true });
      },
      async waitForStarts(numbers) {
        const patience = Date.now() + PATIENCE_MS;
        for (;;) {
          const starts = await readStarts(started);
          const missing = numbers.find((number) => !starts.has(number));
          if (missing === undefined) return starts;
          if (Date.now() > patience) throw new Error(`the stub of #${missing} did not start`);
          await Bun.sleep(1);
        }
      },
      [Symbol.dispose]: end,
    };
  } catch (error) {
    end();
    throw error;
  }
}

async function readStarts(file: string): Promise<ReadonlyMap<number, number>> {
  const text = existsSync(file) ? await readFile(file, "utf8") : "";
  const starts = new Map<number, number>();
  // The last line may still be being written.
  for (const line of text.split("\n").slice(0, -1)) {
    const [number = Number.NaN, nanoseconds = Number.NaN] = line.split(" ").map(Number);
    if (!starts.has(number)) starts.set(number, nanoseconds / 1e6);
  }
  return starts;
}

async function startEngine(dir: string, stub: string, children: ChildProcess[]): Promise<string> {
  const place = join(dir, "engine");
  await mkdir(place);
  const child = spawn(process.execPath, [join(import.meta.dir, "engine.ts"), place, stub], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(child);
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  createInterface({ input: child.stdout }).once("line", resolve);
  child.once("exit", () => reject(new Error("the engine ended before it listened")));
  return await promise;
}

/** It checks the signature, as ours does; everything else is its shortest way to a command. */
async function startAdnanh(dir: string, stub: string, children: ChildProcess[]): Promise<string> {
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
  children.push(spawn(WEBHOOK, [...args, "-urlprefix", ""], { stdio: "ignore" }));
  const patience = Date.now() + PATIENCE_MS;
  while ((await fetch(`http://127.0.0.1:${port}/`).catch(() => null)) === null) {
    if (Date.now() > patience) throw new Error("adnanh/webhook does not answer");
    await Bun.sleep(20);
  }
  return `http://127.0.0.1:${port}/webhook`;
}
