import { expect, test } from "bun:test";
import { sharedCluster } from "../support/postgres-cluster.ts";
import { type ChaosOptions, playChaos } from "./chaos.ts";
import type { Counters } from "./count.ts";

const CLEAN: Counters = {
  lost: 0,
  acceptedTwice: 0,
  neverStarted: 0,
  ranTwice: 0,
  overlapped: 0,
  pullsTooMany: 0,
  doubled: 0,
};
/** Always the same one: a gate does not turn red without a change. `script/chaos` takes a fresh one each time. */
const SEED = 20_779;

test("20 kills -9 of the service, of the service with its agents and of agents alone lose nothing and do nothing twice; nor do two of each with the real CLI", async () => {
  const { counters, unfinished, faults, figures } = await playChaos({
    seed: SEED,
    kills: 20,
    realKills: 2,
    issues: 6,
  });
  console.log(figures);

  expect({ ...counters, unfinished, faults }).toEqual({ ...CLEAN, unfinished: [], faults: [] });
  expect(figures["kills of service"]).toBeGreaterThanOrEqual(22);
  expect(figures["kills of both"]).toBeGreaterThanOrEqual(22);
  // Counted only when there was one.
  expect(figures["kills of agents"]).toBeGreaterThanOrEqual(22);
  expect(figures["of service, with agents alive"]).toBeGreaterThan(5);
  expect(figures["of both, with agents alive"]).toBeGreaterThan(5);
  expect(figures["kills of the real CLI"]).toBe(6);
  expect(figures["runs"]).toBeGreaterThan(20);
}, 600_000);

test("two services on one PostgreSQL database, killed in turn with 6 kills of each kind, lose nothing and do nothing twice, and each goes on with what the other died over", async () => {
  const { counters, unfinished, faults, figures } = await playChaos({
    seed: SEED,
    kills: 6,
    realKills: 0,
    issues: 6,
    database: await (await sharedCluster()).createDatabase(),
  });
  console.log(figures);

  expect({ ...counters, unfinished, faults }).toEqual({ ...CLEAN, unfinished: [], faults: [] });
  expect(figures["kills at the first"]).toBe(9);
  expect(figures["kills at the second"]).toBe(9);
  expect(figures["kills of agents"]).toBe(6);
  expect(figures["runs at the first"]).toBeGreaterThan(3);
  expect(figures["runs at the second"]).toBeGreaterThan(3);
  expect(figures["duplicates at the other service"]).toBeGreaterThan(20);
  expect(figures["sessions resumed elsewhere"]).toBeGreaterThan(0);
  expect(figures["with the words from there"]).toBeGreaterThan(0);
  expect(figures["after its lease ran out"]).toBeGreaterThan(0);
}, 600_000);

const SHORT = { seed: 6, realKills: 0, mayClose: false, playMs: 120_000 } as const;
const DEAF = { sandbox: "none", deaf: true, kinds: ["service"], moment: "working" } as const;
/** Somebody closes the pull request while nobody is there who could know of it. */
const CLOSED = {
  closesPulls: true,
  kinds: ["both"],
  moment: "pull request there",
  kills: 2,
  issues: 1,
} as const;
const BITES: readonly (readonly [
  string,
  keyof Counters,
  Omit<ChaosOptions, keyof typeof SHORT>,
])[] = [
  [
    "acknowledging before it is durable",
    "lost",
    { weakness: "durability", kills: 4, issues: 1, kinds: ["service"], moment: "accepted" },
  ],
  [
    "without knowing the deliveries it had",
    "acceptedTwice",
    { weakness: "deduplication", kills: 1, issues: 1, kinds: ["service"] },
  ],
  [
    "forgetting its orders",
    "neverStarted",
    { weakness: "order", kills: 1, issues: 2, kinds: ["service"], moment: "any" },
  ],
  ["without its ledger", "ranTwice", { weakness: "ledger", kills: 2, issues: 3 }],
  ["without the fence", "overlapped", { weakness: "fence", kills: 4, issues: 1, ...DEAF }],
  ["not looking for its pull requests", "pullsTooMany", { weakness: "pull look-up", ...CLOSED }],
  [
    "without looking for its effects",
    "doubled",
    { weakness: "look-up", kills: 4, issues: 1, kinds: ["both"], moment: "on record" },
  ],
];

test.each(BITES)(
  "the same chaos with a service %s is counted under %s",
  async (_what, counter, options) => {
    const { counters } = await playChaos({ ...SHORT, ...options, stopAt: counter });

    expect(counters[counter]).toBeGreaterThan(0);
  },
  180_000,
);

const TOGETHER: typeof BITES = [
  [
    "whose leases hold nobody off",
    "overlapped",
    { weakness: "lease", kills: 1, issues: 6, kinds: ["agents"], moment: "any", stepMs: 1500 },
  ],
  [
    "that know only the deliveries that came to themselves",
    "acceptedTwice",
    { weakness: "shared de-duplication", kills: 1, issues: 1, kinds: ["service"] },
  ],
  [
    "that do not look for their effects",
    "doubled",
    { weakness: "look-up", kills: 4, issues: 1, kinds: ["both"], moment: "on record" },
  ],
];

test.each(TOGETHER)(
  "the same chaos with two services %s is counted under %s",
  async (_what, counter, options) => {
    const database = await (await sharedCluster()).createDatabase();
    const { counters } = await playChaos({ ...SHORT, ...options, database, stopAt: counter });

    expect(counters[counter]).toBeGreaterThan(0);
  },
  180_000,
);

test("without a sandbox agents that do not hear SIGTERM outlive the service, and are ended before anything runs", async () => {
  const { counters, figures } = await playChaos({ ...SHORT, kills: 4, issues: 2, ...DEAF });

  expect(counters).toEqual(CLEAN);
  expect(figures["of service, with agents alive"]).toBeGreaterThan(0);
}, 180_000);

test("a pull request that somebody closes while the service is dead is not opened again", async () => {
  const { counters, figures } = await playChaos({ ...SHORT, ...CLOSED });

  expect(counters).toEqual(CLEAN);
  expect(figures["pull requests"]).toBeGreaterThan(0);
}, 180_000);
