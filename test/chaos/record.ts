import { chmod, writeFile } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** What the stub is told when it is made. */
export interface StubSettings {
  /** Path of the harness's socket, the same inside the jail. */
  readonly socket: string;
  /** The words by which it knows that its question was answered. */
  readonly answer: string;
  /** The longest pause between two steps, in milliseconds. */
  readonly stepMs: number;
  /** It does not end at SIGTERM. */
  readonly deaf: boolean;
}

export type StubSkill = "implement" | "address-review" | "review" | "merge";

/** One start of the stub as the harness saw it; times by the harness's clock, epoch ms. */
export interface StubLife {
  readonly run: string;
  readonly skill: StubSkill;
  readonly agent: string;
  readonly number: number;
  readonly mode: string;
  /** Ids of the runs whose prompts were in the transcript that it found. */
  readonly knows: readonly string[];
  readonly startedAt: number;
  /** When the kernel closed its socket; null: it is still open. */
  endedAt: number | null;
  /** What it was told had been done, in order. */
  readonly done: { readonly tool: string; readonly at: number }[];
}

/** Two runs of one work item that were alive at once. */
export interface Overlap {
  readonly number: number;
  readonly older: string;
  readonly newer: string;
}

export interface Recorder extends AsyncDisposable {
  readonly lives: readonly StubLife[];
  readonly overlaps: readonly Overlap[];
}

type Fact =
  | ({ readonly kind: "start" } & Pick<
      StubLife,
      "run" | "skill" | "agent" | "number" | "mode" | "knows"
    >)
  | { readonly kind: "called"; readonly run: string; readonly tool: string; readonly ok: boolean }
  | { readonly kind: "here"; readonly ask: string };

/**
 * Listens for the stubs. When one starts, every other one of its work item whose socket is still
 * open is asked whether it is there: an answer was written by a living process after the newer one
 * had begun, so they overlap; a dead one never answers.
 */
export async function startRecorder(path: string): Promise<Recorder> {
  const lives: StubLife[] = [];
  const overlaps: Overlap[] = [];
  const open = new Map<Socket, StubLife>();
  const server = createServer((socket) => {
    let life: StubLife | null = null;
    socket.on("error", () => undefined);
    socket.once("close", () => {
      open.delete(socket);
      if (life !== null) life.endedAt = Date.now();
    });
    createInterface({ input: socket }).on("line", (line) => {
      const fact = JSON.parse(line) as Fact;
      if (fact.kind === "start") {
        if (life !== null) life.endedAt = Date.now();
        const begun: StubLife = { ...fact, startedAt: Date.now(), endedAt: null, done: [] };
        life = begun;
        lives.push(begun);
        for (const [other, older] of open) {
          if (other !== socket && older.number === begun.number) other.write(`${begun.run}\n`);
        }
        open.set(socket, begun);
      } else if (life !== null && fact.kind === "here") {
        overlaps.push({ number: life.number, older: life.run, newer: fact.ask });
      } else if (life !== null && fact.kind === "called" && fact.ok) {
        life.done.push({ tool: fact.tool, at: Date.now() });
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return {
    lives,
    overlaps,
    [Symbol.asyncDispose]: async () => {
      for (const socket of open.keys()) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** Writes the stub as one program that `bun` runs by its first line. */
export async function makeStub(path: string, settings: StubSettings): Promise<void> {
  const source = await Bun.file(fileURLToPath(new URL("stub-in-child.ts", import.meta.url))).text();
  const text = new Bun.Transpiler({ loader: "ts", target: "bun" }).transformSync(source);
  await writeFile(
    path,
    `#!${process.execPath}\nconst SETTINGS = ${JSON.stringify(settings)};\n${text}`,
  );
  await chmod(path, 0o755);
}
