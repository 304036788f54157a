import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Secret } from "../../src/config/secret.ts";
import { openDatabase } from "../../src/main/open-database.ts";
import { sharedGateTable } from "../../src/main/shared-gate-table.ts";
import { openGates } from "../support/gates.ts";
import { postgresWorld } from "../support/postgres-world.ts";

setDefaultTimeout(60_000);

const HOUR = 3_600_000;
const GATE = "model:test";

test.each([-HOUR, HOUR])(
  "on a host whose clock is %d ms off, a gate of this host that is due can be tried, by one",
  async (offset) => {
    await using world = await postgresWorld();
    const stateDir = await mkdtemp(join(tmpdir(), "open-database-"));
    const database = await openDatabase(
      { stateDir, database: new Secret(world.address, { file: "none" }) },
      { now: () => Date.now() + offset, warn: () => undefined },
    );
    try {
      const { store, ownGates } = database;
      if (ownGates === null) throw new Error("others share the database");
      const isShared = (name: string): boolean => name === GATE;
      const table = sharedGateTable({ own: ownGates, shared: store.gates, isShared });
      const gate = { name: GATE, reason: "network", attempt: 1, isNamed: false } as const;
      const closedAt = store.now() - 60_000;
      await table.put({ ...gate, since: closedAt, retryAt: closedAt + 59_000, probe: null });
      const gates = await openGates({ table, now: store.now, isShared: true });
      await gates.follow();
      expect(gates.held()).toEqual([]);

      expect(await gates.enter("boss", "o/r#1@1")).toBe(true);

      await gates.follow();
      expect(gates.held()).toEqual(["boss", "reviewer"]);
    } finally {
      await database.close();
      await rm(stateDir, { recursive: true, force: true });
    }
  },
);
