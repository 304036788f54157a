import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type EmbeddedForge, startForge } from "../../demo/forge/start-forge.ts";
import { type ModelEndpoint, startModelEndpoint } from "../../demo/model/endpoint.ts";
import { writeConfig } from "../../demo/scenario/service.ts";
import { type Api, createHook, setUpWidgets } from "../../demo/scenario/widgets.ts";
import { watchAgents } from "./agents.ts";
import type { Chance } from "./chance.ts";
import { type Load, startLoad } from "./load.ts";
import { scriptedColleagues } from "./model.ts";
import { type ChaosService, chaosService } from "./one-service.ts";
import { makeStub, type Overlap, type Recorder, startRecorder } from "./record.ts";
import { readPostgres, readSqlite, type Stored } from "./stored.ts";
import type { Weakness } from "./weaken.ts";

export const ANSWER = "Take the blue one.";
const WEBHOOK_SECRET_BYTES = 24;
const LIMITS = "limits: { runs: 4, runs_per_agent: 4, runs_per_item: 1000, failures: 100 }";

export interface WorldOptions {
  readonly chance: Chance;
  readonly weakness: Weakness | null;
  readonly sandbox: "bwrap" | "none";
  /** The stub does not end at SIGTERM. */
  readonly deaf: boolean;
  readonly stepMs: number;
  /** Address of an empty PostgreSQL database that two services share; null: one service on SQLite. */
  readonly database: string | null;
}

/** Forge, load, model and recorder, which outlive every life of the services between them. */
export interface ChaosWorld extends AsyncDisposable {
  readonly forge: EmbeddedForge;
  readonly api: Api;
  readonly load: Load;
  readonly recorder: Recorder;
  /** Overlaps of processes by pid and start time, of stub and real CLI alike, whatever service began them. */
  readonly overlaps: readonly Overlap[];
  readonly services: readonly [ChaosService, ...ChaosService[]];
  /** What the database of the services says now. */
  stored(): Promise<Stored>;
  /** From the next start on. */
  use(cli: "stub" | "real"): void;
}

export async function chaosWorld(options: WorldOptions): Promise<ChaosWorld> {
  const { deaf, stepMs, weakness, database, sandbox } = options;
  const dir = await mkdtemp(join(tmpdir(), "ch-chaos-"));
  const forge = await startForge({ dir: join(dir, "forge"), mergeCheckMs: 5, pushMs: 5 });
  const model: ModelEndpoint = startModelEndpoint({ respond: scriptedColleagues });
  const { tokens, api } = await setUpWidgets(forge, dir);
  const webhookSecret = randomBytes(WEBHOOK_SECRET_BYTES).toString("hex");
  const load = startLoad(options.chance, webhookSecret);
  await createHook(api, load.url, webhookSecret);
  const tools = join(dir, "tools");
  await mkdir(tools, { recursive: true });
  const socket = join(tools, "record.sock");
  const recorder = await startRecorder(socket);
  const stub = join(tools, "chaos-cli");
  await makeStub(stub, { socket, answer: ANSWER, stepMs, deaf });

  const agents = watchAgents();
  let binary = stub;
  const serviceIn = async (place: string, name: string): Promise<ChaosService> => {
    await mkdir(place, { recursive: true });
    const configPath = await writeConfig({
      dir: place,
      forgeUrl: forge.url,
      tokens,
      webhookSecret,
      model: { baseUrl: model.url, key: "sk-scripted-model" },
      sandbox,
      // Stub and socket are the same for all of them.
      repository: { read: [tools, dirname(process.execPath)] },
      sweepSeconds: 60,
      onLog: () => undefined,
      more: [LIMITS, ...(database === null ? [] : [`database: ${database}`])].join("\n"),
    });
    return chaosService({
      ...{ name, dir: place, configPath, weakness, agents, load },
      binary: () => binary,
    });
  };
  const services: [ChaosService, ...ChaosService[]] = [await serviceIn(dir, "first")];
  if (database !== null) services.push(await serviceIn(join(dir, "second"), "second"));
  const reader = database === null ? readSqlite(join(dir, "state")) : await readPostgres(database);
  return {
    ...{ forge, api, load, recorder, services },
    overlaps: agents.overlaps,
    stored: async () => await reader.read(),
    use: (cli) => {
      binary = cli === "stub" ? stub : "";
    },
    [Symbol.asyncDispose]: async () => {
      await load[Symbol.asyncDispose]();
      for (const service of services) {
        await service.kill();
        await service.killAgents();
      }
      await reader[Symbol.asyncDispose]();
      await recorder[Symbol.asyncDispose]();
      await model.stop();
      await forge.stop();
      if (process.env["CHAOS_KEEP"] !== "1") await rm(dir, { recursive: true, force: true });
    },
  };
}
