import { describe, expect, test } from "bun:test";
import { use } from "../../demo/model/conversation.ts";
import { LONG_WAIT_MS } from "../../src/domain/gate.ts";
import { IMPLEMENTING, steps } from "../support/model-steps.ts";
import { type ServiceWorld, serviceWorld } from "../support/service-world.ts";

const ALONE = { repository: { review: "requested" } };
/** More calls than any budget below allows. */
const BUSY = Array.from({ length: 30 }, (_, index) => use("Bash", { command: `echo ${index}` }));

async function spending(world: ServiceWorld) {
  const { json } = await world.admin("GET", "/api/v1/spending");
  return json as {
    all: { runs: number; usd: number; tokens: Record<string, number> };
    agents: readonly { agent: string; usd: number }[];
    repositories: readonly { repo: string; usd: number }[];
    days: readonly { day: string; usd: number }[];
  };
}

const DAY_MS = 24 * 60 * 60_000;

/** Milliseconds until the next midnight, UTC. */
const leftOfToday = (): number => DAY_MS - (Date.now() % DAY_MS);

describe("a budget of several runs", () => {
  test.each([
    ["usd_per_item: 0.01", "usd_per_item", "the money for this item is used up", false],
    ["usd_per_day: 0.01", "usd_per_day", "the money for today is used up", true],
    ["tokens_per_day: 3000", "tokens_per_day", "the tokens for today are used up", true],
  ])(
    "%s cuts a living run between two requests, which is no failure, and holds what comes next",
    async (limit, name, words, isDaily) => {
      await using world = await serviceWorld({ ...ALONE, more: `limits: { ${limit} }` });
      world.script(steps(...BUSY));
      await world.issue();
      await world.line({ msg: "run ended", outcome: "parked", reason: name });
      const item = await world.settled(1);
      expect(item).toMatchObject({ state: "parked", decision: "park" });
      expect(item.reason).toBe(
        `${name}: ${words}${isDaily ? "" : "; raise limits.usd_per_item to go on"}`,
      );
      expect(world.requests().length).toBeLessThan(BUSY.length);
      const said = (await world.comments(1)).map(({ body }) => body);
      // Shortly before midnight the wait is too short to be worth a comment.
      if (isDaily && leftOfToday() < LONG_WAIT_MS) expect(said).toEqual([]);
      else expect(said[0]).toContain(`Waiting: ${words}`);

      const spent = await spending(world);
      expect(spent.all.runs).toBe(1);
      expect(spent.all.usd).toBeGreaterThan(0);
      for (const part of [spent.agents, spent.repositories, spent.days]) {
        expect(part.map(({ usd }) => usd)).toEqual([spent.all.usd]);
      }

      world.script(steps(...IMPLEMENTING));
      const asked = world.requests().length;
      const mark = world.lines.length;
      await world.issue();
      if (isDaily) {
        await world.line({ msg: "decision", decision: "park", number: 2 }, mark);
        expect((await world.settled(2)).runs).toEqual([]);
        expect(world.requests()).toHaveLength(asked);
      } else await world.line({ msg: "starting session", number: 2 }, mark);
    },
    60_000,
  );
});
