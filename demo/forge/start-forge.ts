import { randomUUID } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { resolve } from "node:path";
import { addAccount, addToken } from "./accounts.ts";
import { createApp } from "./app.ts";
import { autoMerge } from "./auto-merge.ts";
import { createDeliveryQueue, type Delivery } from "./delivery.ts";
import { createFaults, type Faults } from "./faults.ts";
import type { Forge } from "./forge.ts";
import { createGitRunner } from "./git-runner.ts";
import { createState } from "./state.ts";

/** How the embedded forge is started. */
export type ForgeOptions = {
  /** Where the bare repositories are kept; made when missing. The rest lives in memory. */
  dir: string;
  /** 0 or absent: any free port. */
  port?: number;
  /** Milliseconds since 1970. */
  now?: () => number;
  /** How long after a push its consequences come; 20 ms when absent. */
  pushMs?: number;
  /** How long `mergeable` is unknown after a creation or push; 300 ms when absent. */
  mergeCheckMs?: number;
};

/** A running forge, with what tests and the demo need besides HTTP. */
export type EmbeddedForge = {
  /** e.g. http://127.0.0.1:41234, without a final slash. */
  url: string;
  /** Token of a site administrator. */
  adminToken: string;
  createUser: (
    login: string,
    options?: { admin?: boolean },
  ) => { id: number; login: string; token: string };
  faults: Faults;
  /** The newest webhooks that went out (or were dropped), oldest first. */
  deliveries: Delivery[];
  /** Errors of work in the background; a test may ask that there are none. */
  errors: string[];
  /** Resolves when nothing is going on in the background and no webhook waits. */
  idle: () => Promise<void>;
  stop: () => Promise<void>;
};

const ERRORS_MAX = 100;

/**
 * Starts a Forgejo-compatible server on loopback: REST, git over HTTP and webhooks over real bare
 * repositories. Forks, teams, wikis, releases and Actions are not part of it.
 */
export async function startForge(options: ForgeOptions): Promise<EmbeddedForge> {
  const root = resolve(options.dir, "repositories");
  const home = resolve(options.dir, "home");
  await mkdir(root, { recursive: true });
  await mkdir(home, { recursive: true });
  const faults = createFaults();
  const deliveries = createDeliveryQueue({ faults, newId: randomUUID });
  const background = createBackground();
  const now = options.now ?? Date.now;
  let url = "";
  const forge: Forge = {
    state: createState(),
    git: createGitRunner({ root, home }),
    deliveries,
    faults,
    url: () => url,
    now: () => Math.floor(now() / 1000),
    newId: randomUUID,
    timing: { pushMs: options.pushMs ?? 20, mergeCheckMs: options.mergeCheckMs ?? 300 },
    afterCheck: (issue) => autoMerge(forge, issue),
    later: background.later,
  };
  const app = createApp(forge);
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: options.port ?? 0,
    idleTimeout: 60,
    maxRequestBodySize: 256 * 1024 * 1024,
    fetch: (request) => app.fetch(request),
  });
  url = `http://127.0.0.1:${server.port}`;
  const createUser: EmbeddedForge["createUser"] = (login, { admin = false } = {}) => {
    const account = addAccount(forge, { login, isAdmin: admin });
    const token = addToken(forge, account, "embedded", ["all"]);
    return { id: account.id, login: account.login, token: token.value };
  };
  const adminToken = createUser("forge-admin", { admin: true }).token;
  return {
    url,
    adminToken,
    createUser,
    faults,
    deliveries: deliveries.log,
    errors: background.errors,
    idle: async () => {
      await background.idle();
      await deliveries.idle();
    },
    stop: async () => {
      await server.stop(true);
      await background.stop();
      await deliveries.stop();
    },
  };
}

/** Owns the work that goes on after an answer has been sent. */
function createBackground() {
  const errors: string[] = [];
  const timers = new Set<ReturnType<typeof setTimeout>>();
  const running = new Set<Promise<void>>();
  let stopped = false;
  const run = async (work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      errors.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
      if (errors.length > ERRORS_MAX) errors.shift();
    }
  };
  return {
    errors,
    later: (delayMs: number, work: () => Promise<void>): void => {
      if (stopped) return;
      const timer = setTimeout(() => {
        timers.delete(timer);
        const going = run(work);
        running.add(going);
        going.finally(() => running.delete(going)).catch(() => undefined);
      }, delayMs);
      timers.add(timer);
    },
    idle: async (): Promise<void> => {
      while (timers.size > 0 || running.size > 0) {
        await Promise.all(running);
        if (timers.size > 0) await Bun.sleep(5);
      }
    },
    stop: async (): Promise<void> => {
      stopped = true;
      for (const timer of timers) clearTimeout(timer);
      timers.clear();
      await Promise.all(running);
    },
  };
}
