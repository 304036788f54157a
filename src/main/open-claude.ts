import { randomBytes } from "node:crypto";
import { rm } from "node:fs/promises";
import { createAgent } from "../agent/create-agent.ts";
import { createEgress } from "../gateway/create-egress.ts";
import { createGateway } from "../gateway/create-gateway.ts";
import type { Agent } from "../ports/agent.ts";
import type { Egress, Gateway } from "../ports/gateway.ts";
import type { Processes } from "../ports/jail.ts";
import type { SessionStore } from "../sessions/store.ts";
import type { Kept } from "./open-kept.ts";
import type { ServiceStart } from "./service-start.ts";
import { createSessionControl } from "./session-control.ts";
import { createSessionHomes, type PlacedHomes } from "./session-homes.ts";
import { makeSocketDir } from "./state-files.ts";

/** Claude, what it keeps on the disk, and its two ways out of the jail. */
export interface ClaudeSide {
  readonly agent: Agent;
  readonly homes: PlacedHomes;
  readonly sessionControl: ReturnType<typeof createSessionControl>;
  readonly gateway: Gateway;
  readonly egress: Egress;
}

/** Builds them; `open` stops the gateway and removes the directory of their sockets. */
export async function openClaude(
  parts: ServiceStart & Kept & { readonly processes: Processes; readonly sessions: SessionStore },
  open: AsyncDisposableStack,
): Promise<ClaudeSide> {
  const { config, jail, processes, store, shared, sessions, audit, now, log } = parts;
  const { stateDir, model } = config;
  const { binary } = parts.replaced;
  const homes = createSessionHomes(stateDir, log);
  const agent = createAgent({
    ...{ jail, processes, now },
    ...(shared === null ? {} : { shared: { store: shared, log } }),
    ...(binary === undefined ? {} : { binary }),
  });
  const dir = await makeSocketDir(stateDir);
  open.defer(async () => await rm(dir, { recursive: true, force: true }));
  const gateway = createGateway({
    ...{ dir, now },
    upstream: model.baseUrl,
    credential: { kind: model.credential.kind, value: model.credential.secret.reveal() },
    newCredential: () => `sk-run-${randomBytes(24).toString("hex")}`,
    loopback: config.sandbox === "none",
  });
  open.defer(async () => await gateway.stop());
  const egress = createEgress({
    dir,
    onRefused: (destination, reason) => audit.append("egress_refused", { destination, reason }),
  });
  const sessionControl = createSessionControl({
    ...{ stateDir, store, sessions, shared, agent },
    home: homes.path,
    redact: parts.redactor.text,
  });
  return { agent, homes, sessionControl, gateway, egress };
}
