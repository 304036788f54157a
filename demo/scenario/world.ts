import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { type EmbeddedForge, startForge } from "../forge/start-forge.ts";
import {
  type ModelEndpoint,
  type RecordedRequest,
  type Step,
  startModelEndpoint,
} from "../model/endpoint.ts";
import { type RunningService, type ServiceOptions, startService } from "./service.ts";
import { type Api, createHook, setUpWidgets, type Tokens } from "./widgets.ts";

export interface WorldOptions
  extends Pick<ServiceOptions, "dir" | "sandbox" | "onLog" | "more" | "repository" | "skills"> {
  /** How the scripted model answers; null: the real model, by `modelKey`. */
  readonly respond: ((request: RecordedRequest) => Step | Promise<Step>) | null;
  readonly modelKey: string;
  readonly sweepSeconds: number;
}

/** A forge with the widgets repository and its hook, a model, and the service between them. */
export interface World {
  readonly forge: EmbeddedForge;
  readonly model: ModelEndpoint | null;
  readonly tokens: Tokens;
  readonly api: Api;
  readonly service: RunningService;
  /** What the service was started with, to start it again on the same state. */
  readonly serviceOptions: ServiceOptions;
  /** Stops everything, the service first; further calls do nothing. */
  stop(): Promise<void>;
}

/** Starts everything the widgets story needs. Throws, with nothing left running, if a part does not start. */
export async function startWorld(options: WorldOptions): Promise<World> {
  const stops: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    for (const end of stops.splice(0).reverse()) await end();
  };
  try {
    const forge = await startForge({ dir: join(options.dir, "forge") });
    stops.push(async () => await forge.stop());
    const { respond, modelKey, ...given } = options;
    const model = respond === null ? null : startModelEndpoint({ respond });
    if (model !== null) stops.push(async () => await model.stop());
    const { tokens, api } = await setUpWidgets(forge, options.dir);
    const serviceOptions: ServiceOptions = {
      ...given,
      forgeUrl: forge.url,
      tokens,
      webhookSecret: randomBytes(24).toString("hex"),
      model: { baseUrl: model?.url ?? null, key: modelKey },
    };
    const service = await startService(serviceOptions);
    stops.push(async () => await service.stop());
    await createHook(api, service.webhook, serviceOptions.webhookSecret);
    return { forge, model, tokens, api, service, serviceOptions, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
