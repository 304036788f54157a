import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { REPO } from "../../demo/scenario/widgets.ts";
import type { Decision } from "../../src/domain/decision.ts";
import type { EffectRecord } from "../../src/domain/ledger.ts";
import type { Forge } from "../../src/ports/forge.ts";
import type { Store } from "../../src/ports/store.ts";
import { cleanUp } from "../../src/work/clean-up.ts";
import type { WorkDependencies } from "../../src/work/dependencies.ts";
import { acknowledge, sayPark, sayRefusal } from "../../src/work/say.ts";
import { anOrder } from "../support/store-world.ts";
import { type EffectsWorld, effectsWorld } from "./effects-world.ts";
import { type Fuse, fuse, mortal } from "./mortal.ts";

let world: EffectsWorld;
beforeAll(async () => {
  world = await effectsWorld();
}, 30_000);
afterAll(async () => await world[Symbol.asyncDispose](), 30_000);

const QUIET = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

/** What of the dependencies the service's own effects use, through `life`. */
function depsOf(life: Fuse): WorkDependencies {
  const { store } = world.database;
  const { client } = world;
  const forge: Forge = {
    reader: mortal(client.reader, life),
    actor: (agent) => mortal(client.actor(agent), life),
  };
  const mortalStore: Partial<Store> = {
    effects: mortal(store.effects, life),
    ledger: mortal(store.ledger, life),
  };
  const deps: Partial<WorkDependencies> = {
    forge,
    git: mortal(world.git, life),
    store: mortalStore as Store,
    agents: () => world.policy.agents,
    dropSessions: async () => await Promise.resolve(0),
    now: () => 1_800_000_000_000,
    log: QUIET,
  };
  return deps as WorkDependencies;
}

interface Service {
  /** Does the effect once; called again by each life. */
  act(deps: WorkDependencies): Promise<void>;
  /** How much of it the forge shows: 1 is right. */
  count(): Promise<number>;
  /** What must be on record in the end. */
  states?: readonly EffectRecord["state"][];
  readonly number: number;
}

async function length(path: string): Promise<number> {
  return ((await world.api("alice", "GET", `/repos/${REPO}/${path}`)) as readonly unknown[]).length;
}

async function refusal(): Promise<Service> {
  const number = await world.issue();
  const made = await world.api("alice", "POST", `/repos/${REPO}/issues/${number}/comments`, {
    body: "@boss merge",
  });
  const comment = (made as { id: number }).id;
  const refused: Extract<Decision, { kind: "refuse" }> = {
    kind: "refuse",
    asked: { person: { id: 1, login: "alice" }, on: "comment", number, comment },
    agent: "boss",
    reason: "I cannot merge this.",
    fingerprint: `refuse/${comment}`,
  };
  return {
    number,
    act: async (deps) => await sayRefusal(deps, { repo: REPO, number }, refused),
    count: async () => (await length(`issues/${number}/comments`)) - 1,
    states: ["done"],
  };
}

async function park(): Promise<Service> {
  const number = await world.issue();
  const snapshot = await world.snapshot(number);
  const said = {
    row: "implement",
    name: "failures",
    reason: "boss failed; a comment lets it try again",
    until: null,
    since: 1,
  } as const;
  return {
    number,
    act: async (deps) => {
      const { policy } = world;
      await sayPark(deps, { item: { repo: REPO, number }, park: said, snapshot, policy });
    },
    count: async () => await length(`issues/${number}/comments`),
  };
}

async function eyes(): Promise<Service> {
  const number = await world.issue();
  return {
    number,
    act: async (deps) => await acknowledge(deps, { repo: REPO, number }, anOrder()),
    count: async () => await length(`issues/${number}/reactions`),
  };
}

/** A merged pull request whose branch is still there, with intents that an attempt has left open. */
async function ended(): Promise<Service> {
  const number = await world.issue();
  const { pull, head } = await world.pull(number);
  const order = anOrder({ fingerprint: `boss/implement/${number}` });
  const context = await world.attempt({ number, order, hasClone: false });
  await context.runs.pushed(context.run, `boss/${number}`, head);
  const item = { repo: REPO, number };
  for (const tool of ["request_merge", "reply"]) {
    await context.effects.intend({
      key: `${REPO}#${number}|x|${tool}|1`,
      run: context.run,
      item,
      tool,
      at: 1,
    });
  }
  await world.api("alice", "POST", `/repos/${REPO}/pulls/${pull}/merge`, { Do: "merge" });
  await world.forge.idle();
  const snapshot = await world.snapshot(number);
  return {
    number,
    act: async (deps) => {
      const ledger = await world.database.store.ledger.read(item);
      await cleanUp(deps, item, snapshot, ledger);
    },
    count: async () => ((await world.git.remoteHead(REPO, `boss/${number}`)) === null ? 1 : 0),
    states: ["done", "refused"],
  };
}

describe.each([
  ["a refusal", refusal],
  ["a wait that is said", park],
  ["the eyes on what was asked", eyes],
  ["the end of an item", ended],
] as const)("%s", (_, make) => {
  test("killed at its every step and done again shows once, and all of it is on record", async () => {
    let steps = 0;
    for (let killed = true; killed && steps < 40; ) {
      steps += 1;
      const service = await make();
      const life = fuse(steps);
      try {
        await service.act(depsOf(life));
      } catch (error) {
        if (!life.isBlown) throw error;
      }
      killed = life.isBlown;
      if (killed) await service.act(depsOf(fuse(Number.POSITIVE_INFINITY)));

      expect([steps, await service.count()]).toEqual([steps, 1]);
      const { effects, leftovers } = await world.database.store.ledger.read({
        repo: REPO,
        number: service.number,
      });
      expect([steps, effects.map(({ state }) => state)]).toEqual([
        steps,
        [...(service.states ?? [])],
      ]);
      expect(leftovers.branches).toEqual([]);
    }
    expect(steps).toBeGreaterThan(2);
    expect(steps).toBeLessThan(40);
  }, 120_000);
});
