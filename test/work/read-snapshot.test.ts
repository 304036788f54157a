import { expect, test } from "bun:test";
import type { Account, Snapshot } from "../../src/domain/snapshot.ts";
import type { ForgeReader } from "../../src/ports/forge.ts";
import type { Log } from "../../src/ports/observe.ts";
import { createSnapshotReader } from "../../src/work/read-snapshot.ts";
import { openStoreWorld } from "../support/store-world.ts";
import { act, alice, boss, policyWith, snapshotWith } from "../support/world.ts";

const ITEM = { repo: "acme/widgets", number: 1 };

test("a named login stays bound to the account that had it first, over a restart, and a change is said once", async () => {
  await using world = await openStoreWorld();
  const said: string[] = [];
  const ignore = () => undefined;
  const log: Log = {
    ...{ debug: ignore, info: ignore, error: ignore },
    warn: (message) => void said.push(message),
  };
  let shown: Snapshot = snapshotWith();
  const start = () =>
    createSnapshotReader({
      reader: { snapshot: async () => shown } as unknown as ForgeReader,
      store: world.store,
      policy: () => policyWith({ mayTrigger: ["Bob", "carol#7"] }),
      log,
    });
  const givenBy = (actor: Account): Snapshot =>
    snapshotWith({ acts: [act({ actor, subject: boss })] });

  const first = start();
  shown = givenBy(alice);
  expect((await first(ITEM)).named).toEqual({});
  shown = givenBy({ id: 5, login: "bob" });
  expect((await first(ITEM)).named).toEqual({ bob: 5 });
  expect(said).toEqual([]);

  const second = start();
  shown = givenBy({ id: 6, login: "bob" });
  expect((await second(ITEM)).named).toEqual({ bob: 5 });
  expect((await second(ITEM)).named).toEqual({ bob: 5 });
  expect(said).toEqual([
    "another account is called bob now (id 6, before 5); it gives no work unless may_trigger says bob#6",
  ]);
});
