import { expect, setDefaultTimeout, test } from "bun:test";
import type { GateReason } from "../../src/domain/gate.ts";
import { sharedGateTable } from "../../src/main/shared-gate-table.ts";
import type { Gates, GateTable } from "../../src/ports/gates.ts";
import { gateTable, openGates } from "../support/gates.ts";
import { postgresWorld, until } from "../support/postgres-world.ts";
import { NOON } from "../support/store-world.ts";

setDefaultTimeout(60_000);

const MINUTE = 60_000;
const MODEL = "model:test";
const LIMIT = { name: MODEL, reason: "usage_limit" } as const;

/** Two processes on one database, each with a table of its own beside, and one clock. */
async function twoProcesses() {
  const world = await postgresWorld();
  const clock = { now: NOON };
  const now = () => clock.now;
  const logged: string[] = [];
  const note = (message: string): number => logged.push(message);
  const open = async (self: string) => {
    const store = await world.open(self, now);
    let wakes = 0;
    store.onWake(() => {
      wakes += 1;
    });
    const isShared = (name: string): boolean => name.startsWith("model:");
    const table = sharedGateTable({ own: gateTable(), shared: store.gates, isShared });
    const again = async (options: { readonly table?: GateTable } = {}): Promise<Gates> =>
      await openGates({
        ...{ table, now, isShared: true },
        log: { debug: note, info: note, warn: note, error: note },
        probes: { forge: async () => ({ ok: false, reason: "unavailable", until: null }) },
        ...options,
      });
    return { store, again, gates: await again(), wakes: () => wakes, table };
  };
  return { world, clock, logged, a: await open("a"), b: await open("b") };
}

test("what one process finds closed is closed for the other before its next run, and wakes it", async () => {
  const { world, a, b } = await twoProcesses();
  await using _ = world;
  const before = b.wakes();

  a.gates.block({ ...LIMIT, until: NOON + 60 * MINUTE }, "o/r#1@1");
  await a.gates.settled();

  await until("a wake-up of the other", () => b.wakes() > before);
  expect(b.gates.held()).toEqual([]);
  await b.gates.follow();
  expect(b.gates.held()).toEqual(["boss", "reviewer"]);
  expect(b.gates.closed()).toEqual(a.gates.closed());
  expect(b.gates.nextTry()).toBe(NOON + 60 * MINUTE);
});

test("when its time has come one order of all processes tries it, and opens it for all", async () => {
  const { world, clock, logged, a, b } = await twoProcesses();
  await using _ = world;
  a.gates.block({ ...LIMIT, until: NOON + MINUTE }, null);
  await a.gates.settled();
  await b.gates.follow();
  clock.now += MINUTE;
  expect([a.gates.held(), b.gates.held()]).toEqual([[], []]);

  // Both have claimed an order before either could know of the other.
  const entered = await Promise.all([
    a.gates.enter("boss", "o/r#1@2"),
    b.gates.enter("reviewer", "o/r#2@1"),
  ]);

  expect(entered.toSorted()).toEqual([false, true]);
  const [trying, other] = entered[0] ? [a, b] : [b, a];
  const by = entered[0] ? "o/r#1@2" : "o/r#2@1";
  await other.gates.follow();
  expect(other.gates.held()).toEqual(["boss", "reviewer"]);
  expect(await other.gates.enter("boss", "o/r#3@1")).toBe(true);
  expect(logged.filter((text) => text === "trying a gate")).toHaveLength(1);

  trying.gates.pass(MODEL, by);
  trying.gates.leave(by);
  await trying.gates.settled();
  await other.gates.follow();

  expect([a.gates.closed(), b.gates.closed()]).toEqual([[], []]);
  expect(await a.store.gates.all()).toEqual([]);
});

test("one that tries and finds it closed makes all wait longer", async () => {
  const { world, clock, a, b } = await twoProcesses();
  await using _ = world;
  a.gates.block({ ...LIMIT, until: NOON + MINUTE }, null);
  await a.gates.settled();
  await b.gates.follow();
  clock.now += MINUTE;
  expect(await b.gates.enter("boss", "o/r#2@1")).toBe(true);

  b.gates.block({ ...LIMIT, until: clock.now + 60 * MINUTE }, "o/r#2@1");
  b.gates.leave("o/r#2@1");
  await b.gates.settled();
  await a.gates.follow();

  expect(a.gates.closed()).toMatchObject([{ name: MODEL, attempt: 2, probe: null }]);
  expect(a.gates.nextTry()).toBe(clock.now + 60 * MINUTE);
});

test("one that ends without having found anything out leaves it to the next; one that is killed, too, after half a minute", async () => {
  const { world, clock, a, b } = await twoProcesses();
  await using _ = world;
  a.gates.block({ ...LIMIT, until: NOON + MINUTE }, null);
  await a.gates.settled();
  await b.gates.follow();
  clock.now += MINUTE;
  expect(await a.gates.enter("boss", "o/r#1@2")).toBe(true);
  a.gates.leave("o/r#1@2");
  await a.gates.settled();
  expect(await b.gates.enter("boss", "o/r#2@1")).toBe(true);
  for (let second = 0; second < 60; second += 5) {
    clock.now += 5000;
    await b.gates.follow();
    await a.gates.follow();
    expect(a.gates.held()).toEqual(["boss", "reviewer"]);
  }

  // From here on the second process is gone.
  clock.now += 30_000;
  await a.gates.follow();

  expect(a.gates.held()).toEqual([]);
  expect(await a.gates.enter("boss", "o/r#1@3")).toBe(true);
});

test.each<[string, string, GateReason]>([
  ["a disk", "disk", "full"],
  ["a forge", "forge", "unavailable"],
  ["a model's server that does not answer there", MODEL, "network"],
])("%s of one host holds nobody on another", async (_, name, reason) => {
  const { world, a, b } = await twoProcesses();
  await using _world = world;

  a.gates.block({ name, reason, until: null }, null);
  await a.gates.settled();
  await a.gates.follow();
  await b.gates.follow();

  expect(a.gates.held()).toEqual(["boss", "reviewer"]);
  expect(b.gates.held()).toEqual([]);
  // It outlives a restart there all the same.
  expect((await a.again()).isClosed(name)).toBe(true);
});

test("what could not be written down holds, and is written as soon as it can be", async () => {
  const { world, a, b } = await twoProcesses();
  await using _ = world;
  let isFull = true;
  const put: GateTable["put"] = async (gate) => {
    if (isFull) throw new Error("no room");
    await a.table.put(gate);
  };
  const gates = await a.again({ table: { ...a.table, put } });
  gates.block({ ...LIMIT, until: NOON + 60 * MINUTE }, null);
  await gates.follow();
  expect(gates.isClosed(MODEL)).toBe(true);
  await b.gates.follow();
  expect(b.gates.isClosed(MODEL)).toBe(false);

  isFull = false;
  await gates.follow();
  await b.gates.follow();

  expect(b.gates.isClosed(MODEL)).toBe(true);
});
