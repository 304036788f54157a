import { rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createAgent } from "../../src/agent/create-agent.ts";
import type { AgentReport, AgentRequest } from "../../src/ports/agent.ts";
import { createJail } from "../../src/sandbox/create-jail.ts";
import { git } from "../support/agent-world.ts";
import { LATER, type Row } from "./row.ts";
import type { Provoked, Stage } from "./stage.ts";
/** Nothing was asked, so the session is as it was. */
export function operatorRows(): readonly Row[] {
  const untouched = (reason: string) =>
    ({
      end: { kind: "operator", reason },
      outcome: "parked",
      reason: `${reason}: `,
      parkedMs: LATER,
      next: "resume",
      kept: true,
      requests: 0,
    }) as const;
  return [
    {
      name: "removed clone",
      provoke: async ({ world }) => {
        await rename(world.clone, join(world.dir, "removed"));
        return { repair: async () => await git(world.dir, ["clone", "-q", "removed", "clone"]) };
      },
      ...untouched("launch"),
    },
    { name: "missing binary", provoke: withoutBinary, ...untouched("launch") },
    {
      name: "id already in use",
      provoke: (stage) => ({ wish: { session: { id: stage.session(), resume: false } } }),
      ...untouched("launch"),
    },
    {
      name: "damaged configuration of the CLI",
      provoke: async ({ world }) => {
        const path = join(world.home, ".claude.json");
        await writeFile(path, "{ not json");
        return { repair: async () => await rm(path) };
      },
      ...untouched("config"),
    },
  ];
}

/** The agent looks for its program before anything else, so the rest of the request may be empty. */
function withoutBinary({ world }: Stage): Provoked {
  const jail = createJail({ mode: "bwrap", dir: join(world.dir, "jail") });
  const { processes, clone, home } = world;
  const agent = createAgent({ jail, processes, now: Date.now, binary: "/none/claude" });
  const tokens = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 };
  const request: AgentRequest = {
    runId: "r1",
    model: "claude-opus-5-5",
    clone,
    home,
    session: { id: crypto.randomUUID(), resume: true },
    system: "",
    prompt: "",
    profile: "author",
    tools: [],
    door: {
      socket: "/none.sock",
      url: null,
      credential: "none",
      meter: () => ({ tokens, usd: 0, requests: 0, contextTokens: 0, retryAt: null }),
      close: () => Promise.resolve(),
    },
    egressSocket: null,
    read: [],
    limits: { usd: 1, turns: 1 },
  };
  const listener = {
    spawned: () => Promise.resolve(),
    heard: () => undefined,
    call: () => Promise.resolve({ ok: true, text: "" }),
  };
  const ask = async (): Promise<AgentReport> =>
    await agent.run(request, listener, new AbortController().signal);
  return { ask };
}
