import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startForge } from "../../demo/forge/start-forge.ts";

/** The embedded forge counts seconds this much faster, so that no case waits for a real one. */
const EMBEDDED_CLOCK_RATE = 20;
const MERGE_CHECK_MS = 40;

/** The server the suite talks to; it is used through HTTP and git alone. */
export type ForgeUnderTest = {
  url: string;
  adminToken: string;
  isEmbedded: boolean;
  /** How much faster than real time the clock of the server runs. */
  clockRate: number;
  /** After this long the checks in the background have surely run, in milliseconds. */
  settleMs: number;
  stop: () => Promise<void>;
};

/**
 * @returns the real server that FORGE_CONTRACT_URL and FORGE_CONTRACT_ADMIN_TOKEN name (it must be
 * allowed to send webhooks to loopback), else the embedded forge, started for this suite.
 */
export async function openForge(): Promise<ForgeUnderTest> {
  const url = process.env["FORGE_CONTRACT_URL"];
  const adminToken = process.env["FORGE_CONTRACT_ADMIN_TOKEN"];
  if (url !== undefined && url !== "" && adminToken !== undefined && adminToken !== "")
    return {
      url: url.replace(/\/+$/, ""),
      adminToken,
      isEmbedded: false,
      clockRate: 1,
      settleMs: 3000,
      stop: () => Promise.resolve(),
    };
  return openEmbeddedForge();
}

/** @returns the embedded forge, whatever the environment says. */
export async function openEmbeddedForge(): Promise<ForgeUnderTest> {
  const dir = await mkdtemp(join(tmpdir(), "forge-contract-"));
  const start = Date.now();
  const forge = await startForge({
    dir,
    pushMs: 5,
    mergeCheckMs: MERGE_CHECK_MS,
    now: () => start + (Date.now() - start) * EMBEDDED_CLOCK_RATE,
  });
  return {
    url: forge.url,
    adminToken: forge.adminToken,
    isEmbedded: true,
    clockRate: EMBEDDED_CLOCK_RATE,
    settleMs: MERGE_CHECK_MS * 10,
    stop: async () => {
      await forge.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}
