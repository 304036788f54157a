import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readConversation } from "../demo/model/conversation.ts";
import type { RecordedRequest } from "../demo/model/endpoint.ts";
import { type MissedLetter, respondToWidgets } from "../demo/model/widgets-script.ts";
import type { LogLine } from "../demo/scenario/service.ts";
import { ISSUE, pushFiles, REPO } from "../demo/scenario/widgets.ts";
import { startWorld } from "../demo/scenario/world.ts";

const PATIENCE_MS = 120_000;
/** The reviewer asks for one of these in each of its two rounds. */
const ROUNDS: readonly MissedLetter[] = [
  { letter: "ß", text: "ss" },
  { letter: "ø", text: "o" },
];
const BYTES_PER_TOKEN = 4;

/** How much people have written: the story's own few words, or an ordinary guide and issue. */
interface Size {
  readonly name: string;
  readonly guideBytes: number;
  readonly issueBytes: number;
}
const SIZES: readonly Size[] = [
  { name: "few words (the demo's own)", guideBytes: 0, issueBytes: 0 },
  { name: "an ordinary guide of 8 kB and issue of 4 kB", guideBytes: 8_000, issueBytes: 4_000 },
];

/** One run of a story. Sizes are bytes of the canonical form of its requests. */
interface Run {
  readonly id: string;
  readonly agent: string;
  readonly skill: string;
  readonly resumed: boolean;
  readonly promptBytes: number;
  readonly ms: number;
  readonly requests: readonly RecordedRequest[];
}

/** What the first request of a run costs. */
interface Cost {
  readonly run: Run;
  readonly size: number;
  /** What follows the longest beginning that an earlier request of the story had, too. */
  readonly fresh: number;
  /** Of the last request of the session's run before: the part that this one begins with; null: there is none. */
  readonly carried: number | null;
  /** Bytes of the whole body but what people and their repository have written. */
  readonly ours: number;
}

/**
 * One issue, its pull request and two rounds of review, told twice with the real service: once as it
 * is, once with every session forgotten before its next run. The model is the same script, and so
 * are the tools and their results. Compared are the first requests of all runs: which bytes follow
 * the longest beginning that any earlier request of the story had, too. The form compared is the
 * JSON of tools, system prompt and messages in this order, in which a model's server caches them,
 * without the marks that say where the cache ends (`cache_control`). A token is taken as 4 bytes.
 * Prints sizes and ratios, never a verdict.
 */
async function main(): Promise<void> {
  for (const size of SIZES) {
    const resumed = costsOf(await tell("resumed", size));
    const fresh = costsOf(await tell("fresh", size));
    console.log(`\n== ${size.name}`);
    printStory("resumed", resumed);
    printStory("fresh", fresh);
    printRatios(resumed, fresh);
  }
}

/** Tells the story and resolves with its runs in order, up to the second round's answer. */
async function tell(how: "resumed" | "fresh", size: Size): Promise<readonly Run[]> {
  const dir = await mkdtemp(join(tmpdir(), "claude-hooks-bench-"));
  const lines: LogLine[] = [];
  const begun = new Set<string>();
  let forget: (agent: string, issue: number) => Promise<void> = async () => undefined;
  const world = await startWorld({
    dir,
    sandbox: "bwrap",
    sweepSeconds: 3600,
    modelKey: "sk-scripted-model",
    onLog: (line) => lines.push(line),
    respond: async (request) => {
      const talk = readConversation(request);
      const run = request.main ? runOf(request) : null;
      // Nobody works but this agent, so the others' sessions can be forgotten: a living one cannot.
      if (how === "fresh" && talk !== null && run !== null && !begun.has(run)) {
        begun.add(run);
        await forget(talk.agent === "boss" ? "reviewer" : "boss", 1);
      }
      return respondToWidgets(request, ROUNDS);
    },
  });
  try {
    const token = (await readFile(join(dir, "secrets/admin"), "utf8")).trim();
    forget = async (agent, issue) => await reset(world.service.admin, token, { agent, issue });
    if (size.guideBytes > 0) {
      const guide = `# How to work here\n\n- Run the tests with \`bun test\`.\n\n${words(size.guideBytes)}`;
      const alice = world.tokens.get("alice") ?? "";
      const files = { "AGENTS.md": guide };
      await pushFiles({ forgeUrl: world.forge.url, token: alice, dir, files });
    }
    const body = `${ISSUE.body}\n\n${words(size.issueBytes)}`.trim();
    const issue = { ...ISSUE, body, assignees: ["boss"] };
    await world.api("alice", "POST", `/repos/${REPO}/issues`, issue);
    await until(() => {
      const ended = lines.filter((line) => line.msg === "run ended");
      const bad = ended.find((line) => line["outcome"] !== "succeeded");
      if (bad !== undefined) throw new Error(`a run failed: ${JSON.stringify(bad)}`);
      return ended.filter((line) => line["skill"] === "address-review").length >= ROUNDS.length;
    });
    return runsOf(lines, world.model?.requests ?? []);
  } finally {
    await world.stop();
    await rm(dir, { recursive: true, force: true });
  }
}

/** Forgets the agent's session of the issue, once its run is over; one that there is not is fine. */
async function reset(
  admin: string,
  token: string,
  { agent, issue }: { agent: string; issue: number },
): Promise<void> {
  let status = 0;
  await until(async () => {
    const answer = await fetch(`${admin}/reset`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify({ agent, repo: REPO, issue }),
    });
    status = answer.status;
    await answer.body?.cancel();
    return status !== 409;
  });
  if (status !== 200) throw new Error(`reset of ${agent}: ${status}`);
}

/** The runs that have ended, in the order of their beginning, with their requests. */
function runsOf(lines: readonly LogLine[], requests: readonly RecordedRequest[]): readonly Run[] {
  return lines
    .filter(({ msg }) => msg === "starting session" || msg === "resuming session")
    .flatMap((line): Run[] => {
      const id = String(line["run"]);
      const end = lines.find((other) => other.msg === "run ended" && other["run"] === id);
      if (end === undefined) return [];
      return [
        {
          id,
          agent: String(line["agent"]),
          skill: String(line["skill"]),
          resumed: line["resumed"] === true,
          promptBytes: Number(line["prompt_bytes"]),
          ms: Date.parse(String(end["time"])) - Date.parse(String(line["time"])),
          requests: requests.filter((request) => request.main && runOf(request) === id),
        },
      ];
    });
}

/** The run whose prompt is the newest in the request. */
function runOf(request: RecordedRequest): string | null {
  const heads = request.raw.matchAll(
    /claude-hooks: [\w-]+ \S+ as \S+, run ([\w-]+), (?:start|resume)/g,
  );
  return [...heads].at(-1)?.[1] ?? null;
}

function costsOf(runs: readonly Run[]): readonly Cost[] {
  const earlier: string[] = [];
  const lastOf = new Map<string, string>();
  return runs.map((run): Cost => {
    const forms = run.requests.map(canonical);
    const [first = ""] = forms;
    const before = lastOf.get(run.agent);
    const unchanged = Math.max(0, ...earlier.map((other) => sharedBytes(other, first)));
    const carried =
      before === undefined ? null : sharedBytes(before, first) / Buffer.byteLength(before);
    earlier.push(...forms);
    lastOf.set(run.agent, forms.at(-1) ?? "");
    const size = Buffer.byteLength(first);
    const ours = Buffer.byteLength(run.requests[0]?.raw ?? "") - quotedBytes(first);
    return { run, size, fresh: size - unchanged, carried, ours };
  });
}

/** Tools, system prompt and messages, one block a line; what comes later only appends. */
function canonical({ body }: RecordedRequest): string {
  const { tools = [], system = [], messages } = body;
  const systemBlocks = typeof system === "string" ? [{ type: "text", text: system }] : system;
  const blocks = messages.flatMap(({ role, content }) =>
    (typeof content === "string" ? [{ type: "text", text: content }] : content).map((block) => ({
      role,
      block,
    })),
  );
  return [...tools, ...systemBlocks, ...blocks]
    .map((part) =>
      JSON.stringify(part, (name, value) => (name === "cache_control" ? undefined : value)),
    )
    .join("\n");
}

/** How many bytes two texts have in common from their beginning. */
function sharedBytes(one: string, other: string): number {
  const [a, b] = [Buffer.from(one), Buffer.from(other)];
  const length = Math.min(a.length, b.length);
  let at = 0;
  while (at < length && a[at] === b[at]) at += 1;
  return at;
}

/** Bytes between the fences of the prompts: what people and their repository have written. */
function quotedBytes(form: string): number {
  const quotes = form.matchAll(/<<(\S+)[^\n]*?\\n(.*?)\\n\1>>/g);
  return [...quotes].reduce((sum, [, , text]) => sum + Buffer.byteLength(text ?? ""), 0);
}

function printStory(name: string, costs: readonly Cost[]): void {
  console.log(name);
  for (const { run, size, fresh, carried, ours } of costs) {
    console.log(
      [
        `  ${run.agent} ${run.skill}`.padEnd(25),
        `${run.resumed ? "resume" : "start "} prompt ${run.promptBytes} B`.padEnd(21),
        `first request ${size} B: unchanged ${size - fresh} B, new ${fresh} B (${tokens(fresh)} tokens)`,
        carried === null ? "" : `carries ${percent(carried)} of the request before it`,
        run.resumed ? "" : `ours ${ours} B`,
        `${run.requests.length} requests in ${run.ms} ms`,
      ]
        .filter((part) => part !== "")
        .join("  "),
    );
  }
  const ms = costs.reduce((total, { run }) => total + run.ms, 0);
  console.log(
    `  together: new ${sum(costs, "fresh")} B of ${sum(costs, "size")} B sent at first, ${ms} ms in runs`,
  );
}

/** The runs that could go on with a session: all but the first of each agent. */
function printRatios(resumed: readonly Cost[], fresh: readonly Cost[]): void {
  const later = (costs: readonly Cost[]): readonly Cost[] =>
    costs.filter(({ carried }) => carried !== null);
  const [r, f] = [later(resumed), later(fresh)];
  const carried = r.map((cost) => cost.carried ?? 0);
  const ours = [...resumed, ...fresh].filter(({ run }) => !run.resumed).map((cost) => cost.ours);
  console.log(
    [
      "ratios, resumed : fresh",
      `  new bytes of all runs                            ${percent(sum(resumed, "fresh") / sum(fresh, "fresh"))}`,
      `  new bytes of the runs after each agent's first   ${percent(sum(r, "fresh") / sum(f, "fresh"))}`,
      `  the same, with nothing cached for a fresh run    ${percent(sum(r, "fresh") / sum(f, "size"))}`,
      `least carried over by a resumed run                ${percent(Math.min(...carried))}`,
      `most that is ours in a first request               ${Math.max(...ours)} B`,
    ].join("\n"),
  );
}

const sum = (costs: readonly Cost[], name: "fresh" | "size"): number =>
  costs.reduce((total, cost) => total + cost[name], 0);

/** As many bytes of prose, the same every time. */
function words(bytes: number): string {
  return "Parts of a shop are small and have names that say what they do. "
    .repeat(Math.ceil(bytes / 64))
    .slice(0, bytes);
}

function tokens(bytes: number): number {
  return Math.round(bytes / BYTES_PER_TOKEN);
}

function percent(part: number): string {
  return `${(100 * part).toFixed(2)} %`;
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + PATIENCE_MS;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error("the story did not get there in time");
    await Bun.sleep(10);
  }
}

await main();
