import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { Step } from "../../demo/model/endpoint.ts";
import { REPO } from "../../demo/scenario/widgets.ts";
import { forgeTool, IMPLEMENTING, steps } from "../support/model-steps.ts";
import { type ServiceWorld, serviceWorld } from "../support/service-world.ts";

const ALONE = { repository: { review: "requested" } };
const HOUR = 60 * 60_000;

/** The answer of a subscription that is used up for so long. */
function usedUp(ms: number): Step {
  const reset = `${Math.ceil((Date.now() + ms) / 1000)}`;
  return {
    status: 429,
    headers: {
      "anthropic-ratelimit-unified-status": "rejected",
      "anthropic-ratelimit-unified-representative-claim": "five_hour",
      "anthropic-ratelimit-unified-reset": reset,
    },
    body: { type: "error", error: { type: "rate_limit_error", message: "over the limit" } },
  };
}

interface GateView {
  readonly name: string;
  readonly reason: string;
  readonly attempt: number;
  readonly retry_at: string;
}

async function gates(world: ServiceWorld): Promise<readonly GateView[]> {
  const { json } = await world.admin("GET", "/api/v1/status");
  return (json as { gates: GateView[] }).gates;
}

async function view(world: ServiceWorld, number: number) {
  const { json } = await world.admin("GET", `/api/v1/items/acme/widgets/${number}`);
  return json as { state: string; decision: string; reason: string; retry_at: string | null };
}

const waits = async (world: ServiceWorld, number: number): Promise<readonly string[]> =>
  (await world.comments(number))
    .map(({ body }) => body)
    .filter((body) => body.startsWith("Waiting"));

describe("a used-up subscription", () => {
  test("holds every item until its reset, is said once on each, and outlives a restart", async () => {
    await using world = await serviceWorld(ALONE);
    world.script(() => usedUp(HOUR));
    const first = await world.issue();
    await world.line({ msg: "run ended", outcome: "parked" });
    const asked = world.requests().length;
    const second = await world.issue();
    await world.until("both say what they wait for", async () => {
      const said = await Promise.all([first, second].map((number) => waits(world, number)));
      return said.every((texts) => texts.length === 1);
    });
    const [gate] = await gates(world);
    expect(gate).toMatchObject({ reason: "usage_limit", attempt: 1 });
    expect(gate?.name).toMatch(/^model:[0-9a-f]{8}$/u);
    const retryAt = Date.parse(gate?.retry_at ?? "");
    expect(Math.abs(retryAt - Date.now() - HOUR)).toBeLessThan(30_000);
    for (const number of [first, second]) {
      expect(await view(world, number)).toMatchObject({
        state: "waiting",
        decision: "run implement",
        retry_at: gate?.retry_at,
      });
      expect((await view(world, number)).reason).toStartWith("usage_limit: the usage limit of the");
      const [text] = await waits(world, number);
      expect(text).toContain(`(until ${gate?.retry_at.slice(0, 16)}Z)`);
    }
    expect((await world.cli("status")).out).toContain(
      "closed: usage_limit, attempt 1, again at 20",
    );

    await world.kill();
    await world.startAgain();
    const again = world.lines.length;
    await world.comment("alice", second, "Is anybody there?");
    await world.line({ msg: "decision", decision: "run implement", number: second }, again);
    expect(await gates(world)).toEqual([gate as GateView]);
    expect(world.matching({ msg: "starting session" })).toHaveLength(1);
    expect(world.matching({ msg: "resuming session" })).toHaveLength(0);
    expect(world.requests()).toHaveLength(asked);
    expect(await waits(world, first)).toHaveLength(1);
    expect(await waits(world, second)).toHaveLength(1);
    expect(world.matching({ msg: "run ended", outcome: "failed" })).toEqual([]);
  }, 60_000);

  test("lets exactly one run through at its reset, and all others when that one has an answer, in their sessions", async () => {
    await using world = await serviceWorld(ALONE);
    let refusing = true;
    const answer = Promise.withResolvers<void>();
    world.script(async (talk) => {
      if (refusing) return usedUp(4000);
      await answer.promise;
      return steps(...IMPLEMENTING)(talk);
    });
    const numbers = [await world.issue(), await world.issue()];
    // Both had begun before anybody knew.
    await world.until(
      "both were refused",
      () => world.matching({ msg: "run ended", outcome: "parked" }).length === 2,
    );
    const sessions = world.matching({ msg: "starting session" }).map(({ session }) => session);
    const third = await world.issue();
    await world.line({ msg: "decision", decision: "run implement", number: third });
    refusing = false;
    const mark = world.lines.length;
    await world.line({ msg: "trying a gate" }, mark);
    await world.line({ msg: "cli started" }, mark);
    // The loop has turned and asked for more runs; there are slots enough.
    for (const body of ["One.", "Two."]) {
      const before = world.lines.length;
      await world.comment("alice", third, body);
      await world.line({ msg: "decision", decision: "run implement", number: third }, before);
    }
    expect(world.lines.slice(mark).filter(({ msg }) => msg === "cli started")).toHaveLength(1);
    expect(await gates(world)).toHaveLength(1);

    answer.resolve();
    await world.line({ msg: "gate opened" }, mark);
    await world.until(
      "all three are done",
      () => world.matching({ msg: "run ended", outcome: "succeeded" }).length === 3,
      40_000,
    );
    expect(await gates(world)).toEqual([]);
    const resumed = world.matching({ msg: "resuming session" }).map(({ session }) => session);
    expect(resumed.toSorted()).toEqual(sessions.toSorted());
    expect(world.matching({ msg: "trying a gate" })).toHaveLength(1);
    for (const number of [...numbers, third]) expect(await waits(world, number)).toEqual([]);
  }, 90_000);
});

test("a refused credential closes the gate: no failure is counted, and nothing is said of a short wait", async () => {
  await using world = await serviceWorld({
    ...ALONE,
    more: "limits: { failures: 1, runs_per_item: 1 }",
  });
  const error = { type: "authentication_error", message: "invalid x-api-key" };
  world.script(() => ({ status: 401, body: { type: "error", error } }));
  const number = await world.issue();
  await world.line({ msg: "run ended", outcome: "parked" });
  await world.line({ msg: "gate closed", reason: "auth", attempt: 1 });
  await world.until("the order waits again", async () => {
    const item = await view(world, number);
    return item.state === "waiting" && item.reason.startsWith("auth: ") && item.retry_at !== null;
  });
  const { json } = await world.admin("GET", "/api/v1/runs");
  expect(json).toMatchObject({ runs: [{ outcome: "parked" }] });
  expect((json as { runs: { reason: string }[] }).runs[0]?.reason).toStartWith("auth: ");
  expect(await waits(world, number)).toEqual([]);
}, 60_000);

test("a forge that answers nobody is left alone until it answers again, and then everything goes on", async () => {
  await using world = await serviceWorld(ALONE);
  world.script(steps(...IMPLEMENTING));
  const numbers = [await world.issue([]), await world.issue([]), await world.issue([])];
  for (const number of numbers) await world.settled(number);
  const { faults } = world.world.forge;
  faults.delayWebhooks(700);
  for (const number of numbers) {
    await world.api("alice", "PATCH", `/repos/${REPO}/issues/${number}`, { assignees: ["boss"] });
  }
  faults.answerNext({ path: /./u, status: 503, times: 1_000_000 });
  await world.line({ msg: "gate closed", gate: "forge", reason: "unavailable" });
  expect(await gates(world)).toMatchObject([{ name: "forge", attempt: 1 }]);
  expect(world.matching({ msg: "starting session" })).toEqual([]);

  faults.clear();
  await world.line({ msg: "gate opened", gate: "forge" });
  await world.until(
    "all are done",
    () => world.matching({ msg: "run ended", outcome: "succeeded" }).length === 3,
    60_000,
  );
  expect(world.matching({ msg: "run ended" })).toHaveLength(3);
  expect(await gates(world)).toEqual([]);
}, 120_000);

test("a run that falls silent is resumed once, told so, and then parked for a person", async () => {
  await using world = await serviceWorld({ ...ALONE, more: "limits: { stall_minutes: 0.2 }" });
  world.script(() => ({ hang: true }));
  const number = await world.issue();
  const { session } = await world.line({ msg: "starting session" });
  await world.until(
    "it fell silent",
    () => world.matching({ msg: "run ended", outcome: "stalled" })[0],
    60_000,
  );
  await world.until(
    "it is resumed",
    () => world.matching({ msg: "resuming session", session })[0],
    60_000,
  );
  await world.until(
    "it is parked",
    async () => (await view(world, number)).state === "parked",
    60_000,
  );
  expect((await view(world, number)).reason).toStartWith("stalled: boss fell silent at implement");
  expect(world.matching({ msg: "run ended", outcome: "stalled" })).toHaveLength(2);
  const told = world.requests().at(-1)?.raw ?? "";
  expect(told).toContain("It did not come to its end (stall_minutes)");
  expect(await waits(world, number)).toHaveLength(1);

  // A person's word lets it try again, in the same session.
  world.script(steps(...IMPLEMENTING));
  await world.comment("alice", number, "Try again, please.");
  await world.line({ msg: "run ended", outcome: "succeeded" });
  expect(world.matching({ msg: "resuming session", session })).toHaveLength(2);
}, 180_000);

test("a base branch that is not there parks with a sentence and counts its attempts, without any run", async () => {
  await using world = await serviceWorld({ repository: { review: "requested", base: "trunk" } });
  world.script(() => ({ text: "never asked" }));
  const number = await world.issue();
  await world.until("it is said", async () => (await waits(world, number)).length === 1);
  const [text] = await waits(world, number);
  expect(text).toStartWith("Waiting: acme/widgets has no branch trunk: create it");
  expect(text).not.toContain("until");
  // It is said by the run; what the item shows is decided a moment later.
  await world.until("it is parked", async () => (await view(world, number)).state === "parked");
  const item = await view(world, number);
  expect(item.reason).toMatch(/^no_base: .*\(attempt 1\)$/u);
  const wait = Date.parse(item.retry_at ?? "") - Date.now();
  expect(wait).toBeGreaterThan(10 * 60_000);
  expect(await world.runs()).toEqual([]);
  expect(world.requests()).toEqual([]);
}, 60_000);

test("nobody is asked about nothing, even if the record of what was done has lost its name", async () => {
  await using world = await serviceWorld(ALONE);
  world.script(steps(forgeTool("ask_human", { question: "Which colour?" })));
  const number = await world.issue();
  await world.line({ msg: "run ended", outcome: "asked" });
  await world.settled(number);
  await world.kill();
  const db = new Database(join(world.stateDir, "claude-hooks.db"));
  expect(db.run("update run set fingerprint = 'lost'").changes).toBe(1);
  db.close();
  const asked = world.requests().length;
  const mark = world.lines.length;
  await world.startAgain();
  const ended = await world.line({ msg: "run ended" }, mark);
  expect(ended).toMatchObject({ outcome: "asked" });
  expect(ended["reason"]).toStartWith("nothing is new since run ");
  await world.settled(number);
  expect(world.requests()).toHaveLength(asked);
  expect(world.lines.slice(mark).filter(({ msg }) => msg === "cli started")).toEqual([]);
  expect((await world.runs()).map(({ outcome }) => outcome)).toEqual(["asked", "asked"]);

  world.script(steps(...IMPLEMENTING));
  await world.comment("alice", number, "Blue.");
  await world.line({ msg: "run ended", outcome: "succeeded" }, mark);
}, 60_000);
