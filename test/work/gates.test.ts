import { describe, expect, test } from "bun:test";
import type { Gate } from "../../src/domain/gate.ts";
import { ForgeFailure } from "../../src/ports/forge.ts";
import type { ProbeAnswer } from "../../src/ports/gates.ts";
import { watchForge } from "../../src/work/watch-forge.ts";
import { gateTable, openGates } from "../support/gates.ts";
import { openStoreWorld } from "../support/store-world.ts";

const MINUTE = 60_000;
const LIMIT = { name: "model:test", reason: "usage_limit" } as const;
const MODEL_ONLY = { gatesOf: (agent: string) => [`model:${agent}`, "forge"] };

describe("a closed gate", () => {
  test("holds every agent behind it, and lets exactly one run through when its time has come", async () => {
    const clock = { now: 0 };
    const gates = await openGates({ now: () => clock.now });
    gates.block({ ...LIMIT, until: 60 * MINUTE }, "first");
    expect(gates.held()).toEqual(["boss", "reviewer"]);
    expect(gates.holding("boss")).toMatchObject({ reason: "usage_limit", retryAt: 60 * MINUTE });
    expect(gates.nextTry()).toBe(60 * MINUTE);

    clock.now = 60 * MINUTE;
    expect(gates.held()).toEqual([]);
    await gates.enter("boss", "probe");
    expect(gates.held()).toEqual(["boss", "reviewer"]);
    await gates.enter("reviewer", "second");
    gates.pass(LIMIT.name, "second");
    expect(gates.held()).toEqual(["boss", "reviewer"]);

    gates.pass(LIMIT.name, "probe");
    expect([gates.held(), gates.closed(), gates.nextTry()]).toEqual([[], [], null]);
  });

  test("lets the next one try after one that found nothing out", async () => {
    const clock = { now: 0 };
    const gates = await openGates({ now: () => clock.now });
    gates.block({ ...LIMIT, until: null }, null);
    clock.now = 2 * MINUTE;
    await gates.enter("boss", "a");
    expect(gates.held()).toEqual(["boss", "reviewer"]);
    gates.leave("a");
    expect(gates.held()).toEqual([]);
  });

  test("of one credential does not hold the agents of another", async () => {
    const gates = await openGates(MODEL_ONLY);
    gates.block({ name: "model:boss", reason: "auth", until: null }, null);
    expect(gates.held()).toEqual(["boss"]);
    expect(gates.holding("reviewer")).toBeNull();
  });

  test("is closed after a restart, and whoever tried before it is forgotten", async () => {
    await using world = await openStoreWorld();
    const clock = { now: 1000 };
    const now = (): number => clock.now;
    const gates = await openGates({ table: world.store.gates, now });
    gates.block({ ...LIMIT, until: 60 * MINUTE }, null);
    clock.now = 60 * MINUTE;
    await gates.enter("boss", "a");
    await gates.settled();
    const store = await world.reopen();
    const again = await openGates({ table: store.gates, now });
    expect(again.closed()).toMatchObject([{ ...LIMIT, attempt: 1, retryAt: 60 * MINUTE }]);
    expect(again.held()).toEqual([]);
    await again.enter("boss", "b");
    again.pass(LIMIT.name, "b");
    await again.settled();
    expect(await store.gates.all()).toEqual([]);
  });

  test("is forgotten with the credential it stands for", async () => {
    const rows = new Map<string, Gate>();
    const first = await openGates({ table: gateTable(rows) });
    first.block({ ...LIMIT, until: null }, null);
    await first.settled();
    expect(rows.size).toBe(1);
    const another = { table: gateTable(rows), gatesOf: () => ["model:new"] };
    expect([(await openGates(another)).held(), rows.size]).toEqual([[], 1]);
    const later = await openGates({ ...another, now: () => Date.now() + 2 * 24 * 60 * MINUTE });
    expect([later.closed(), rows.size]).toEqual([[], 0]);
  });

  test("holds although it cannot be written down", async () => {
    const warned: string[] = [];
    const ignore = (): void => undefined;
    const gates = await openGates({
      table: { ...gateTable(), put: () => Promise.reject(new Error("disk full")) },
      log: { debug: ignore, info: ignore, warn: (text) => warned.push(text), error: ignore },
    });
    gates.block({ name: "disk", reason: "full", until: null }, null);
    await gates.settled();
    expect(gates.held()).toEqual(["boss", "reviewer"]);
    expect(warned).toContain("a gate could not be written down");
  });

  test("is told to people when the wait is long, once until something else is to be told", async () => {
    const clock = { now: 0 };
    const changes: string[] = [];
    const gates = await openGates({
      now: () => clock.now,
      onChange: (change) => changes.push(change),
    });
    const auth = { name: "model:test", reason: "auth", until: null } as const;
    for (let attempt = 1; attempt <= 7; attempt += 1) {
      gates.block(auth, "probe");
      clock.now = gates.nextTry() ?? 0;
      await gates.enter("boss", "probe");
    }
    // One, three, seven, fifteen minutes: from the fourth attempt on it is long.
    expect(changes).toEqual(["long"]);
    gates.block({ ...LIMIT, until: clock.now + 60 * MINUTE }, "probe");
    expect(changes).toEqual(["long", "long"]);
  });
});

describe("a gate that can be asked about", () => {
  test("is closed only when the answer says so, is asked again by itself, and no run tries it", async () => {
    const clock = { now: 0 };
    let answer: ProbeAnswer = { ok: true };
    let asked = 0;
    const opened: string[] = [];
    const gates = await openGates({
      now: () => clock.now,
      onChange: (change) => opened.push(change),
      probes: {
        sandbox: async () => {
          asked += 1;
          return answer;
        },
      },
    });
    expect(await gates.suspect("sandbox")).toBe(false);
    expect(gates.held()).toEqual([]);
    answer = { ok: false, reason: "missing", until: null };
    const both = await Promise.all([gates.suspect("sandbox"), gates.suspect("sandbox")]);
    expect([both, asked]).toEqual([[true, true], 2]);
    expect(gates.isClosed("sandbox")).toBe(true);

    gates.tryDue();
    expect(asked).toBe(2);
    clock.now = gates.nextTry() ?? 0;
    expect(gates.held()).toEqual(["boss", "reviewer"]);
    await gates.enter("boss", "a");
    gates.tryDue();
    gates.tryDue();
    await gates.settled();
    expect([asked, gates.closed()[0]?.attempt]).toEqual([3, 2]);

    answer = { ok: true };
    clock.now = gates.nextTry() ?? 0;
    gates.tryDue();
    await gates.settled();
    expect([gates.held(), opened]).toEqual([[], ["opened"]]);
  });

  test.each([
    ["every read and the forge itself fail", true, true],
    ["only the reads of one item fail", false, false],
  ])("the forge's gate when %s", async (_, isDown, isClosed) => {
    const down = new ForgeFailure("unavailable", "GET: the forge did not answer");
    const gates = await openGates({
      probes: {
        forge: async () =>
          isDown ? { ok: false, reason: "unavailable", until: null } : { ok: true },
      },
    });
    const read = watchForge(gates, async (fails: boolean) => {
      if (fails) throw down;
      return "whole";
    });
    for (let time = 0; time < 2; time += 1) await expect(read(true)).rejects.toBe(down);
    expect(await read(false)).toBe("whole");
    for (let time = 0; time < 2; time += 1) await expect(read(true)).rejects.toBe(down);
    expect(gates.isClosed("forge")).toBe(false);
    await expect(read(true)).rejects.toBe(down);
    expect(gates.isClosed("forge")).toBe(isClosed);
  });
});
