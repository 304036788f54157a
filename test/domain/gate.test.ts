import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { backoffMs } from "../../src/domain/backoff.ts";
import {
  beginProbe,
  closeGate,
  type Gate,
  gateSentence,
  isLongWait,
  leaveProbe,
  passage,
  passGate,
} from "../../src/domain/gate.ts";

const MINUTE = 60_000;
const NAME = "model:1";
const at = (now: number) => ({ now, chance: 0.5 });
const auth = { name: NAME, reason: "auth", until: null } as const;

describe("a gate", () => {
  test("closes until the time the other side names", () => {
    const limit = { name: NAME, reason: "usage_limit", until: 60 * MINUTE, by: "a" } as const;
    const gate = closeGate(null, limit, at(0));
    expect(gate).toMatchObject({ retryAt: 60 * MINUTE, attempt: 1, isNamed: true, probe: null });
    expect(passage(gate, 60 * MINUTE - 1)).toBe("closed");
    expect(passage(gate, 60 * MINUTE)).toBe("probe");
    expect(isLongWait(gate)).toBe(true);
  });

  test("is tried later and later while nobody names a time, and at most half an hour apart", () => {
    let gate: Gate | null = null;
    const waits: number[] = [];
    let now = 0;
    for (let attempt = 1; attempt <= 7; attempt += 1) {
      gate = closeGate(gate, { ...auth, by: "run" }, at(now));
      waits.push((gate.retryAt - now) / MINUTE);
      expect(gate.attempt).toBe(attempt);
      now = gate.retryAt;
      gate = beginProbe(gate, "run");
    }
    expect(waits).toEqual([1, 2, 4, 8, 16, 30, 30]);
  });

  test("takes late news of runs that had begun before as no attempt", () => {
    const gate = closeGate(null, { ...auth, by: "a" }, at(0));
    expect(closeGate(gate, { ...auth, by: "b" }, at(100))).toBe(gate);
    const named = closeGate(
      gate,
      { ...auth, reason: "usage_limit", until: 10 * MINUTE, by: "b" },
      at(100),
    );
    expect(named).toMatchObject({ attempt: 1, reason: "usage_limit", retryAt: 10 * MINUTE });
  });

  test("is opened by the one that tries and by nobody else", () => {
    const tried = beginProbe(closeGate(null, { ...auth, by: "a" }, at(0)), "b");
    expect(passGate(tried, "a")).toBe(tried);
    expect(passGate(tried, "b")).toBeNull();
    expect(passage(leaveProbe(tried, "a"), MINUTE)).toBe("closed");
    expect(passage(leaveProbe(tried, "b"), MINUTE)).toBe("probe");
  });

  test("does not believe a time further away than the longest limit there is", () => {
    const lie = { name: NAME, reason: "usage_limit", until: 9e15, by: null } as const;
    expect(closeGate(null, lie, at(0)).retryAt).toBe(8 * 24 * 60 * MINUTE);
  });

  test("says no time and no number to people", () => {
    for (const name of [NAME, "forge", "sandbox", "disk"]) {
      for (const reason of ["auth", "credit", "usage_limit", "network", "full"] as const) {
        expect(gateSentence({ name, reason })).toMatch(/^[a-z][^0-9]+$/u);
      }
    }
  });
});

test("waits double, are spread by a fifth to both sides, and never exceed the longest by more", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 10_000 }),
      fc.integer({ min: 1, max: 1e6 }),
      fc.integer({ min: 0, max: 1e6 }),
      fc.double({ min: 0, max: 0.999999, noNaN: true }),
      (attempt, firstMs, more, chance) => {
        const backoff = { firstMs, mostMs: firstMs + more };
        const wait = backoffMs(attempt, backoff, chance);
        const plain = Math.min(firstMs * 2 ** Math.min(attempt - 1, 30), backoff.mostMs);
        expect(Math.abs(wait - plain)).toBeLessThanOrEqual(plain * 0.2 + 1);
      },
    ),
  );
});

/** What may happen at a gate; `by` is one of three runs. */
const happening = fc.record({
  what: fc.constantFrom("wait", "enter", "block", "pass", "leave"),
  by: fc.constantFrom("a", "b", "c"),
  ms: fc.integer({ min: 0, max: 40 * MINUTE }),
  until: fc.option(fc.integer({ min: -MINUTE, max: 3 * 60 * MINUTE })),
  chance: fc.double({ min: 0, max: 0.999, noNaN: true }),
});

test("whatever happens, at most one tries at a time, never before its time, and a wait always ends", () => {
  fc.assert(
    fc.property(fc.array(happening, { maxLength: 60 }), (happenings) => {
      let now = 1_000_000;
      let gate: Gate | null = null;
      for (const { what, by, ms, until, chance } of happenings) {
        const before: Gate | null = gate;
        if (what === "wait") now += ms;
        if (what === "enter" && gate !== null && passage(gate, now) === "probe") {
          expect(gate.probe).toBeNull();
          expect(now).toBeGreaterThanOrEqual(gate.retryAt);
          gate = beginProbe(gate, by);
        }
        if (what === "block") {
          const named = until === null ? null : now + until;
          gate = closeGate(gate, { ...auth, until: named, by }, { now, chance });
          const wasTrying = before === null || before.probe === by;
          expect(gate.attempt).toBe((before?.attempt ?? 0) + (wasTrying ? 1 : 0));
          if (wasTrying) expect(gate.retryAt).toBeGreaterThan(now);
          expect(gate.retryAt - now).toBeLessThanOrEqual(8 * 24 * 60 * MINUTE);
        }
        if (what === "pass" && gate !== null) {
          const passed: Gate | null = passGate(gate, by);
          expect(passed === null).toBe(gate.probe === by);
          gate = passed;
        }
        if (what === "leave" && gate !== null) gate = leaveProbe(gate, by);
      }
      if (gate?.probe === null) expect(passage(gate, gate.retryAt)).toBe("probe");
    }),
    { numRuns: 500 },
  );
});
