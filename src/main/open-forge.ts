import { createForge, type ForgeClient } from "../forge/create-forge.ts";
import { createGit } from "../git/create-git.ts";
import type { Git } from "../ports/git.ts";
import type { Processes } from "../ports/jail.ts";
import type { Survivor } from "../run/end-orphans.ts";
import type { Kept } from "./open-kept.ts";
import type { ServiceStart } from "./service-start.ts";
import { gitCredential } from "./settings.ts";

/** A run begins just after its clone was made: its start comes first. */
const SPARE_AFTER_MS = 3_000;

/** The forge and the repositories on it. */
export interface ForgeSide {
  readonly forge: ForgeClient;
  readonly git: Git;
}

/** Builds the client of the forge and git; the clones of processes that could not be ended stay taken while these live. */
export async function openForge(
  parts: ServiceStart &
    Pick<Kept, "now"> & {
      readonly processes: Processes;
      readonly survivors: readonly Survivor[];
    },
): Promise<ForgeSide> {
  const { config, now, log, processes, survivors } = parts;
  const { url, ca, kind, requestsPerSecond } = config.forge;
  const client = createForge({
    ...{ url, kind, requestsPerSecond, now, log },
    ca: ca?.pem ?? null,
    agents: config.agents.map(({ name, login, token }) => ({
      ...{ name, login },
      token: () => token.reveal(),
    })),
    readerAgent: config.agents[0]?.name ?? "",
  });
  const git = createGit({
    ...{ stateDir: config.stateDir, spareAfterMs: SPARE_AFTER_MS, now, log },
    remoteUrl: (repo) => `${url}/${repo}.git`,
    credential: (name) => gitCredential(config, name),
    caFile: ca?.file ?? null,
  });
  for (const { item, agent, process } of survivors) {
    const clone = await git.use(item, agent);
    clone.child(() => processes.isAlive(process));
    clone.release();
  }
  return { forge: parts.replaced.forge?.(client) ?? client, git };
}
