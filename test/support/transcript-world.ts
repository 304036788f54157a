import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Log, LogFields } from "../../src/ports/observe.ts";
import type { TranscriptKey, TranscriptStore } from "../../src/ports/transcripts.ts";
import { openPostgresTranscripts } from "../../src/store/open-postgres-store.ts";
import { openTranscripts } from "../../src/store/open-transcripts.ts";
import { preparePostgres } from "../../src/store/prepare-postgres.ts";
import { sharedCluster } from "./postgres-cluster.ts";
import { ENGINE } from "./store-world.ts";

/** A database of shared transcripts in a directory of its own, and what was logged about it. */
export interface TranscriptWorld extends AsyncDisposable {
  readonly store: TranscriptStore;
  readonly path: string;
  readonly log: Log;
  readonly warnings: { readonly message: string; readonly fields: LogFields }[];
  readonly clock: { now: number };
  /** Another connection to the same database; who opens it closes it. */
  again(): Promise<TranscriptStore>;
  /** Every stored line of a conversation, the oldest first. */
  all(key: TranscriptKey): Promise<readonly string[]>;
}

export async function transcriptWorld(): Promise<TranscriptWorld> {
  const directory = await mkdtemp(join(tmpdir(), "ch-shared-"));
  const path = join(directory, "transcripts.db");
  const clock = { now: Date.UTC(2026, 9, 1) };
  const now = () => clock.now;
  const address = ENGINE === "postgres" ? await (await sharedCluster()).createDatabase() : null;
  if (address !== null) await preparePostgres(address);
  const again = async (): Promise<TranscriptStore> =>
    address === null
      ? await openTranscripts({ path, now })
      : openPostgresTranscripts({ address, now });
  const store = await again();
  const warnings: { message: string; fields: LogFields }[] = [];
  const log: Log = {
    debug: () => undefined,
    info: () => undefined,
    warn: (message, fields = {}) => warnings.push({ message, fields }),
    error: (message, fields = {}) => warnings.push({ message, fields }),
  };
  return {
    store,
    path,
    log,
    warnings,
    clock,
    again,
    async all(key) {
      const lines = await store.lines(key, { from: null, limit: 500, order: "forward" });
      return lines.map(({ text }) => text);
    },
    async [Symbol.asyncDispose]() {
      await store.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
