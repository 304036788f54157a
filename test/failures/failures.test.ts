import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFile } from "node:fs/promises";
import PQueue from "p-queue";
import type { Row } from "./row.ts";
import {
  ANSWER,
  type History,
  makeHistory,
  openStage,
  type StageRun,
  TASK,
  TASK_AGAIN,
} from "./stage.ts";
import { ROWS } from "./table.ts";

/** For a row that waits for its turn, too. */
const PATIENCE_MS = 180_000;
/** A time told in seconds is rounded, and the run itself takes some. */
const INEXACT_MS = 10_000;

const turns = new PQueue({ concurrency: 2 });
let history: History;

beforeAll(async () => {
  history = await makeHistory();
}, PATIENCE_MS);

afterAll(async () => await history[Symbol.asyncDispose]());

test.concurrent.each(ROWS.map((row) => [row.name, row] as const))(
  "%s",
  async (_, row) => await turns.add(async () => await play(row)),
  PATIENCE_MS,
);

test("every row has a name of its own and stands in the document", async () => {
  const text = await readFile(new URL("../../docs/failures.md", import.meta.url), "utf8");
  const documented = [...text.matchAll(/^\| ([^|]+?) +\|/gm)].map(([, name]) => name);
  const names = ROWS.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  expect(names.filter((name) => !documented.includes(name))).toEqual([]);
});

/** The run that fails, what becomes of it, and the run after it. */
async function play(row: Row): Promise<void> {
  await using stage = await openStage(history);
  const { world } = stage;
  world.script(row.respond ?? (() => ({ text: "Done." })));
  const how = (await row.provoke?.(stage)) ?? {};
  try {
    const old = stage.session();
    const failed = await stage.run("r1", how);
    const asked = world.main().length;

    expect(failed.ends[0]).toMatchObject(row.end);
    expect(failed.steps).toEqual([...(row.steps ?? ["resume", "look"])]);
    expect(failed.verdict.outcome).toBe(row.outcome);
    expect(failed.verdict.reason).toStartWith(row.reason);
    expectPark(row, failed);
    if (row.before !== undefined) expect(failed.plan).toBe(row.before);
    if (row.requests !== undefined) expect(asked).toBe(row.requests);
    const isFresh = failed.steps.filter((step) => step === "start").length;
    expect(isFresh).toBeLessThanOrEqual(1);

    await how.repair?.();
    world.script(() => ({ text: "Now it works." }));
    const nextSteps = row.nextSteps ?? [row.next === "rotate" ? "start" : "resume", "look"];
    const looks = nextSteps.filter((step) => step === "look").length;
    const findings = [
      ...Array.from({ length: looks - 1 }, () => "open" as const),
      "fulfilled" as const,
    ];
    const next = await stage.run("r2", { findings });
    const last = (how.main?.() ?? world.main()).at(-1)?.raw ?? "";

    expect(next.ends.at(-1)).toMatchObject({ kind: "completed" });
    expect(next.steps).toEqual([...nextSteps]);
    expect(next.plan).toBe(row.next);
    expect(countOf(last, "run r2, ")).toBe(1);
    // The full task stands in the conversation once: of the first run, or of the fresh start.
    expect([countOf(last, TASK), countOf(last, TASK_AGAIN)]).toEqual(row.kept ? [1, 0] : [0, 1]);
    if (row.kept) expect([stage.session(), countOf(last, ANSWER)]).toEqual([old, 1]);
  } finally {
    await how.close?.();
  }
}

function expectPark(row: Row, { verdict, now }: StageRun): void {
  if (row.blockedMs === undefined) expect(verdict.blocker).toBeNull();
  else {
    expect(verdict.blocker).toMatchObject({
      name: "model:test",
      reason: verdict.reason.split(":")[0],
    });
    const until = verdict.blocker?.until ?? null;
    expect(until === null).toBe(row.blockedMs === null);
    expect(Math.abs((until ?? now) - now - (row.blockedMs ?? 0))).toBeLessThan(INEXACT_MS);
  }
  if (row.parkedMs === undefined) {
    expect(verdict.park).toBeNull();
    return;
  }
  const { row: held, until } = verdict.park ?? { row: null, until: null };
  expect(held).toBe("implement");
  expect(Math.abs((until ?? 0) - now - row.parkedMs)).toBeLessThan(INEXACT_MS);
}

const countOf = (text: string, part: string): number => text.split(part).length - 1;
