import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { type ModelEndpoint, type Step, startModelEndpoint } from "../../demo/model/endpoint.ts";
import { createAgent } from "../../src/agent/create-agent.ts";
import type { Profile } from "../../src/domain/skill.ts";
import type { ToolName } from "../../src/domain/tools.ts";
import { checkRequest } from "../../src/gateway/check-request.ts";
import { createJail } from "../../src/sandbox/create-jail.ts";
import { createProcesses } from "../../src/sandbox/create-processes.ts";
import { git } from "../support/agent-world.ts";

setDefaultTimeout(30_000);

const PIXEL =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const PDF = `%PDF-1.1
1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj 3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 3 3]>>endobj
trailer<</Size 4/Root 1 0 R>>
%%EOF`;
let dir = "";
let endpoint: ModelEndpoint;
let steps: Step[] = [];

beforeAll(async () => {
  dir = await mkdtemp("/tmp/ch-cli-requests-");
  const clone = join(dir, "clone");
  await Promise.all([mkdir(clone), mkdir(join(dir, "home"))]);
  await git(clone, ["init", "-q"]);
  await Bun.write(join(clone, "p.png"), Buffer.from(PIXEL, "base64"));
  await Bun.write(join(clone, "d.pdf"), PDF);
  endpoint = startModelEndpoint({ respond: () => steps.shift() ?? { text: "done \ud83d é" } });
});
afterAll(async () => {
  await endpoint.stop();
  await rm(dir, { recursive: true, force: true });
});

/** A run that speaks to the scripted model directly: what it records is what the CLI wrote. */
async function run(
  session: { readonly id: string; readonly resume: boolean },
  profile: Profile,
  tools: readonly ToolName[],
): Promise<void> {
  const agent = createAgent({
    jail: createJail({ mode: "none", dir }),
    processes: createProcesses(),
    now: Date.now,
  });
  const meter = () => ({
    tokens: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 },
    usd: 0,
    requests: 0,
    contextTokens: 0,
    retryAt: null,
  });
  const close = () => Promise.resolve();
  const report = await agent.run(
    {
      ...{ runId: "r", model: "claude-opus-5-5", system: "s", prompt: "Look: é \u2028 \ud83d" },
      ...{ clone: join(dir, "clone"), home: join(dir, "home"), session, profile, tools },
      door: { socket: "/none", url: endpoint.url, credential: "c", meter, close },
      egressSocket: null,
      read: [],
      limits: { usd: 5, turns: 20 },
    },
    {
      spawned: () => Promise.resolve(),
      heard: () => undefined,
      call: () => Promise.resolve({ ok: true, text: "" }),
    },
    new AbortController().signal,
  );
  expect(report.end.kind).toBe("completed");
}

test("every request of the CLI passes the gateway's check and is the same bytes behind it", async () => {
  const id = crypto.randomUUID();
  const use = (name: string, input: unknown): Step => ({ tools: [{ name, input }] });
  steps = [
    use("Bash", { command: "printf '\\033[1m é \\u2028 1.0 1e5'; false" }),
    use("Read", { file_path: join(dir, "clone/p.png") }),
    use("Read", { file_path: join(dir, "clone/d.pdf") }),
    use("mcp__forge__reply", { body: "b", source: { type: "url" } }),
  ];
  await run({ id, resume: false }, "author", ["open_pull_request", "reply"]);
  await run({ id, resume: true }, "author", ["hand_in", "reply"]);
  await run({ id, resume: true }, "reader", ["reply"]);

  const sent = endpoint.requests.map(({ raw }) => raw);
  expect(sent.length).toBeGreaterThanOrEqual(7);
  expect(sent.at(-1)).toContain('"type":"image"');
  expect(sent.at(-1)).toContain('"type":"document"');
  expect(sent.join()).toContain('"type":"tool_addition"');
  expect(new Set(endpoint.requests.map(({ body }) => body.model))).toEqual(
    new Set(["claude-opus-5-5"]),
  );
  for (const raw of sent) {
    const checked = checkRequest(Buffer.from(raw));
    expect(checked).toMatchObject({ ok: true, model: "claude-opus-5-5" });
    expect(checked.ok && checked.text === raw).toBe(true);
  }
});
