import { expect, test } from "bun:test";
import { askedTextKey } from "../../src/domain/asked-text.ts";
import type { Policy } from "../../src/domain/policy.ts";
import { tidyMeta } from "../../src/work/tidy-meta.ts";
import { itemRef, markItem, NOON, openStoreWorld, REPO } from "../support/store-world.ts";
import { policyWith } from "../support/world.ts";

const DAY_MS = 24 * 60 * 60_000;

async function tidyWorld() {
  const world = await openStoreWorld();
  const { meta } = world.store;
  let policies: readonly Policy[] = [policyNaming(["alice", "Bob#7"])];
  const tidy = async (): Promise<number> =>
    await tidyMeta({
      store: world.store,
      policies: () => policies,
      policy: (repo) => policies.find(({ repository }) => repository.repo === repo) ?? null,
      unneededMs: 30 * DAY_MS,
      now: () => world.clock.now,
    });
  const kept = async (): Promise<readonly string[]> => {
    const ofAll = async (prefix: string) => await meta.keys({ prefix, after: "", limit: 500 });
    return [
      ...(await ofAll("account:")),
      ...(await ofAll("asked-text:")),
      ...(await ofAll("unneeded:")),
    ];
  };
  return {
    world,
    tidy,
    kept,
    configure: (newer: readonly Policy[]) => {
      policies = newer;
    },
  };
}

function policyNaming(mayTrigger: readonly string[]): Policy {
  return policyWith({ repo: REPO, mayTrigger });
}

test("an account nobody names is forgotten after its time, one that is named stays for ever", async () => {
  const { world, tidy, kept } = await tidyWorld();
  await using _ = world;
  for (const login of ["alice", "bob", "carol"])
    await world.store.meta.set(`account:${login}`, "7");
  await world.store.meta.set("accounts", "another value");

  expect(await tidy()).toBe(0);
  world.clock.now = NOON + 29 * DAY_MS;
  expect(await tidy()).toBe(0);
  world.clock.now = NOON + 30 * DAY_MS;
  expect(await tidy()).toBe(1);

  expect(await kept()).toEqual(["account:alice", "account:bob"]);
  expect(await world.store.meta.get("accounts")).toBe("another value");
});

test("an account that is named again in between keeps its whole time", async () => {
  const { world, tidy, kept, configure } = await tidyWorld();
  await using _ = world;
  await world.store.meta.set("account:carol", "7");
  await tidy();
  configure([policyNaming(["carol"])]);
  world.clock.now = NOON + 20 * DAY_MS;
  await tidy();
  configure([policyNaming([])]);
  world.clock.now = NOON + 40 * DAY_MS;

  expect(await tidy()).toBe(0);
  world.clock.now = NOON + 70 * DAY_MS;
  expect(await tidy()).toBe(1);

  expect(await kept()).toEqual([]);
});

test("what an issue said stays while its repository is named, and goes with it or with an unknown issue", async () => {
  const { world, tidy, kept, configure } = await tidyWorld();
  await using _ = world;
  const known = askedTextKey(itemRef(1));
  const unknown = askedTextKey(itemRef(2));
  await markItem(world.store, 1);
  for (const key of [known, unknown]) await world.store.meta.set(key, "digest trigger");
  await tidy();
  world.clock.now = NOON + 365 * DAY_MS;
  expect(await tidy()).toBe(1);
  expect(await kept()).toEqual([known]);

  configure([]);
  await tidy();
  world.clock.now += 30 * DAY_MS;

  expect(await tidy()).toBe(1);
  expect(await kept()).toEqual([]);
});

test("more than one page of them is tidied", async () => {
  const { world, tidy, kept } = await tidyWorld();
  await using _ = world;
  for (let count = 0; count < 450; count += 1) {
    await world.store.meta.set(`account:stranger-${count}`, "7");
  }
  await tidy();
  world.clock.now = NOON + 30 * DAY_MS;

  expect(await tidy()).toBe(450);

  expect(await kept()).toEqual([]);
});
