import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type EmbeddedForge, startForge } from "../../demo/forge/start-forge.ts";
import { type ModelEndpoint, startModelEndpoint } from "../../demo/model/endpoint.ts";
import { writeConfig } from "../../demo/scenario/service.ts";
import { type Api, createHook, setUpWidgets } from "../../demo/scenario/widgets.ts";
import type { ProcessIdentity } from "../../src/ports/jail.ts";
import { createProcesses } from "../../src/sandbox/create-processes.ts";
import { treeOf } from "../support/process-tree.ts";
import type { Chance } from "./chance.ts";
import { type Load, startLoad } from "./load.ts";
import { scriptedColleagues } from "./model.ts";
import { makeStub, type Overlap, type Recorder, startRecorder } from "./record.ts";
import { type Life, type Line, startLife } from "./service.ts";
import type { Weakness } from "./weaken.ts";

export const ANSWER = "Take the blue one.";
const WEBHOOK_SECRET_BYTES = 24;

export interface WorldOptions {
  readonly chance: Chance;
  readonly weakness: Weakness | null;
  readonly sandbox: "bwrap" | "none";
  /** The stub does not end at SIGTERM. */
  readonly deaf: boolean;
  readonly stepMs: number;
}

/** The CLI's process of one run. */
interface AgentProcess {
  readonly number: number;
  readonly run: string;
  readonly identity: ProcessIdentity;
}

/** Forge, load, model and recorder, which outlive every life of the service between them. */
export interface ChaosWorld extends AsyncDisposable {
  readonly dir: string;
  readonly forge: EmbeddedForge;
  readonly api: Api;
  readonly load: Load;
  readonly recorder: Recorder;
  /** Overlaps of processes by pid and start time, of stub and real CLI alike. */
  readonly overlaps: readonly Overlap[];
  readonly lines: readonly Line[];
  readonly service: () => Life;
  /** From the next start on. */
  use(cli: "stub" | "real"): void;
  /** Starts a life; with `wait` it resolves when deliveries are taken in. */
  start(wait: boolean): Promise<void>;
  agentsAlive(): readonly AgentProcess[];
  killService(): Promise<void>;
  killAgents(): Promise<number>;
}

export async function chaosWorld(options: WorldOptions): Promise<ChaosWorld> {
  const dir = await mkdtemp(join(tmpdir(), "ch-chaos-"));
  const forge = await startForge({ dir: join(dir, "forge"), mergeCheckMs: 5, pushMs: 5 });
  const model: ModelEndpoint = startModelEndpoint({ respond: scriptedColleagues });
  const { tokens, api } = await setUpWidgets(forge, dir);
  const webhookSecret = randomBytes(WEBHOOK_SECRET_BYTES).toString("hex");
  const load = startLoad(options.chance, webhookSecret);
  await createHook(api, load.url, webhookSecret);
  const configPath = await writeConfig({
    dir,
    forgeUrl: forge.url,
    tokens,
    webhookSecret,
    model: { baseUrl: model.url, key: "sk-scripted-model" },
    sandbox: options.sandbox,
    sweepSeconds: 60,
    onLog: () => undefined,
    more: "limits: { runs: 4, runs_per_agent: 4, runs_per_item: 1000, failures: 100 }",
  });
  const tools = join(dir, "tools");
  await mkdir(tools, { recursive: true });
  const socket = join(tools, "record.sock");
  const recorder = await startRecorder(socket);
  const stub = join(tools, "chaos-cli");
  const { deaf, stepMs, weakness } = options;
  await makeStub(stub, { socket, answer: ANSWER, stepMs, deaf });

  const processes = createProcesses();
  const agents: AgentProcess[] = [];
  const overlaps: Overlap[] = [];
  const lines: Line[] = [];
  let binary = stub;
  let service: Life | null = null;
  const alive = (): AgentProcess[] => agents.filter(({ identity }) => processes.isAlive(identity));
  const onLine = (line: Line): void => {
    lines.push(line);
    if (process.env["CHAOS_LOG"] === "1") console.error(JSON.stringify(line));
    if (line.msg !== "cli started") return;
    const identity = processes.identify(Number(line["pid"]));
    if (identity === null) return;
    const begun = { number: Number(line["number"]), run: String(line["run"]), identity };
    for (const { number, run, identity: of } of alive()) {
      if (number === begun.number && of.pid !== identity.pid) {
        overlaps.push({ number, older: run, newer: begun.run });
      }
    }
    agents.push(begun);
  };
  const living = (): Life => {
    if (service === null) throw new Error("the service was never started");
    return service;
  };
  const killService = async (): Promise<void> => {
    load.to(null);
    killNow(living().pid);
    await living().exited;
  };
  const killAgents = async (): Promise<number> => {
    const found = alive();
    const trees = await Promise.all(found.map(({ identity }) => treeOf(identity.pid)));
    for (const pid of trees.flat()) killNow(pid);
    return found.length;
  };
  return {
    dir,
    forge,
    api,
    load,
    recorder,
    overlaps,
    lines,
    service: living,
    use: (cli) => {
      binary = cli === "stub" ? stub : "";
    },
    start: async (wait) => {
      const life = startLife({ dir, configPath, binary, weakness, onLine });
      service = life;
      if (!wait) return;
      load.to((await life.ready()).webhook);
    },
    agentsAlive: alive,
    killService,
    killAgents,
    [Symbol.asyncDispose]: async () => {
      await load[Symbol.asyncDispose]();
      await killService();
      await killAgents();
      await recorder[Symbol.asyncDispose]();
      await model.stop();
      await forge.stop();
      if (process.env["CHAOS_KEEP"] !== "1") await rm(dir, { recursive: true, force: true });
    },
  };
}

function killNow(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}
