import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { use } from "../../demo/model/conversation.ts";
import type { Step } from "../../demo/model/endpoint.ts";
import type { RunWish } from "../support/agent-world.ts";
import { killing, SLEEPING, stopping } from "./interrupt.ts";
import { DONE, KEPT, MINUTE, type Row, STILL_LOST, SUCCEEDED } from "./row.ts";
import type { Stage } from "./stage.ts";
/** No such conversation: the only rows in which a new one begins. */
export function lostRows(): readonly Row[] {
  const gone: readonly (readonly [string, (stage: Stage) => Promise<unknown>])[] = [
    [
      "unknown session",
      async (stage) =>
        await rm(stage.world.home, { recursive: true }).then(() => mkdir(stage.world.home)),
    ],
    ["deleted transcript", async (stage) => await rm(stage.transcript())],
    ["empty transcript", async (stage) => await writeFile(stage.transcript(), "")],
    [
      "other config directory",
      async ({ world }) => {
        await rename(world.home, join(world.dir, "other-home"));
        await mkdir(world.home);
      },
    ],
  ];
  const lost = {
    end: { kind: "session_lost" },
    steps: ["resume", "look", "start", "look"],
    ...SUCCEEDED,
    kept: false,
  } as const;
  return [
    ...gone.flatMap(([name, provoke]): Row[] => [
      {
        name,
        provoke: async (stage) => {
          await provoke(stage);
          return DONE;
        },
        before: "start",
        end: { kind: "completed" },
        steps: ["start", "look"],
        ...SUCCEEDED,
        kept: false,
        requests: 1,
      },
      {
        name: `${name}, resumed all the same`,
        provoke: async (stage) => {
          await provoke(stage);
          return { insist: true, findings: ["open", "fulfilled"] };
        },
        before: "start",
        ...lost,
        requests: 1,
      },
    ]),
    {
      name: "garbage instead of a transcript",
      provoke: async (stage) => {
        await writeFile(stage.transcript(), "\0garbage{{{\n".repeat(20));
        return { findings: ["open", "fulfilled"] };
      },
      before: "continue",
      ...lost,
      requests: 1,
    },
    {
      name: "lost conversation whose work the forge shows",
      provoke: async (stage) => {
        await writeFile(stage.transcript(), "\0garbage{{{\n".repeat(20));
        return DONE;
      },
      ...lost,
      steps: ["resume", "look"],
      ...STILL_LOST,
      requests: 0,
    },
    {
      name: "lost conversation while the forge is away",
      provoke: async (stage) => {
        await writeFile(stage.transcript(), "\0garbage{{{\n".repeat(20));
        return { findings: ["unknown"] };
      },
      ...lost,
      steps: ["resume", "look"],
      ...STILL_LOST,
      outcome: "parked",
      reason: "forge: away",
      parkedMs: MINUTE,
      requests: 0,
    },
  ];
}

export function damagedRows(): readonly Row[] {
  const damaged = (name: string, damage: (text: string) => string): Row => ({
    name,
    provoke: async (stage) => {
      await writeFile(stage.transcript(), damage(await readFile(stage.transcript(), "utf8")));
      return DONE;
    },
    before: "resume",
    end: { kind: "completed" },
    ...SUCCEEDED,
    kept: true,
  });
  return [
    damaged("truncated transcript", (text) => text.slice(0, -40)),
    damaged("garbage line in a transcript", (text) => `${text}{"type":"user","mess\n`),
    damaged("NUL bytes at the end of a transcript", (text) => text + "\0".repeat(4096)),
  ];
}

export function killedRows(): readonly Row[] {
  const died = { end: { kind: "died" }, outcome: "failed", reason: "died", ...KEPT } as const;
  return [
    {
      name: "SIGKILL at init",
      respond: SLEEPING,
      provoke: () => killing("SIGKILL", "init"),
      ...died,
    },
    {
      name: "SIGKILL at the first message",
      respond: SLEEPING,
      provoke: () => killing("SIGKILL", "text"),
      ...died,
    },
    {
      name: "SIGKILL mid-tool",
      respond: SLEEPING,
      provoke: () => killing("SIGKILL", "tool"),
      ...died,
    },
    {
      name: "SIGTERM mid-tool",
      respond: SLEEPING,
      provoke: () => killing("SIGTERM", "tool"),
      ...died,
    },
    {
      name: "abort mid-tool",
      respond: SLEEPING,
      provoke: () => stopping({ outcome: "cancelled", reason: "paused" }, "tool"),
      end: { kind: "interrupted" },
      outcome: "cancelled",
      reason: "paused",
      ...KEPT,
    },
    {
      name: "hanging endpoint",
      respond: () => ({ hang: true }),
      provoke: (stage) =>
        stopping(
          { outcome: "stalled", reason: "stall_minutes" },
          () => stage.world.main().length > 0,
        ),
      end: { kind: "interrupted" },
      outcome: "stalled",
      reason: "stall_minutes",
      ...KEPT,
    },
  ];
}

/** What goes wrong inside a run is the agent's to read: it ends nothing. */
export function harmlessRows(): readonly Row[] {
  const harmless = (name: string, steps: readonly Step[], wish: RunWish = {}): Row => ({
    name,
    provoke: ({ world }) => {
      let step = 0;
      world.script(() => steps[step++] ?? { text: "done" });
      return { ...DONE, wish };
    },
    end: { kind: "completed" },
    ...SUCCEEDED,
    kept: true,
    requests: steps.length + 1,
  });
  const streamError = { type: "overloaded_error", message: "Overloaded" };
  return [
    harmless("error event in the middle of a stream", [{ text: "half", streamError }]),
    harmless("failing forge call", [use("mcp__forge__reply", { body: "Hello" })], {
      call: () => Promise.resolve({ ok: false, text: "the forge answered 502" }),
    }),
    harmless("failing shell command", [use("Bash", { command: "echo broken >&2; exit 7" })]),
    harmless("a tool that prints the words of a lost session", [
      use("Bash", { command: "echo No conversation found with session ID: $RANDOM; exit 1" }),
    ]),
  ];
}
