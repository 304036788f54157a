import { type ChildProcess, spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseJson } from "../../src/json/parse.ts";
import type { Weakness } from "./weaken.ts";

const CHILD = fileURLToPath(new URL("serve-child.ts", import.meta.url));
const READY_MS = 20_000;
const LOOK_MS = 5;

export type Line = Readonly<Record<string, unknown>> & { readonly msg: string };

/** One life of the service's process. */
export interface Life {
  readonly pid: number;
  readonly exited: Promise<void>;
  /** Resolves when it takes in deliveries, with its two addresses; throws if it ends before. */
  ready(): Promise<Addresses>;
}

interface Addresses {
  readonly webhook: string;
  readonly admin: string;
}

/** Starts the service on `<dir>/state`; it writes its log to `onLine`. */
export function startLife(options: {
  readonly dir: string;
  readonly configPath: string;
  /** Path of the stub, or "" for the real CLI. */
  readonly binary: string;
  readonly weakness: Weakness | null;
  readonly onLine: (line: Line) => void;
}): Life {
  const { dir, configPath, binary, weakness } = options;
  const child = spawn(process.execPath, [CHILD, configPath, binary, weakness ?? ""], {
    cwd: dir,
    stdio: ["ignore", "ignore", "pipe"],
    env: { PATH: process.env["PATH"] ?? "", HOME: dir, LANG: "C.UTF-8" },
  });
  const last: string[] = [];
  follow(child, last, options.onLine);
  let isGone = false;
  const exited = new Promise<void>((resolve) => {
    child.once("exit", () => {
      isGone = true;
      resolve();
    });
  });
  return {
    pid: child.pid ?? 0,
    exited,
    ready: async () => {
      const end = performance.now() + READY_MS;
      while (!isGone && performance.now() < end) {
        const told = await readAddresses(join(dir, "state/serve.json"));
        // A killed service leaves its file behind.
        if (told !== null && told.pid === child.pid) return told;
        await Bun.sleep(LOOK_MS);
      }
      throw new Error(`the service did not become ready:\n${last.join("\n")}`);
    },
  };
}

async function readAddresses(path: string): Promise<(Addresses & { pid: number }) | null> {
  const text = await readFile(path, "utf8").catch(() => null);
  return text === null ? null : (parseJson(text) as Addresses & { pid: number });
}

function follow(child: ChildProcess, last: string[], onLine: (line: Line) => void): void {
  if (child.stderr === null) return;
  createInterface({ input: child.stderr }).on("line", (text) => {
    last.push(text);
    if (last.length > 10) last.shift();
    // A killed process may leave half a line.
    if (text.startsWith("{") && text.endsWith("}")) onLine(parseJson(text) as Line);
  });
}
