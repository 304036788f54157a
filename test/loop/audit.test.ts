import { expect, test } from "bun:test";
import { appendFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { IMPLEMENTING, steps } from "../support/model-steps.ts";
import { type ServiceWorld, serviceWorld } from "../support/service-world.ts";

const ALONE = { repository: { review: "requested" } };

async function lines(world: ServiceWorld): Promise<readonly Record<string, unknown>[]> {
  const text = await readFile(join(world.stateDir, "audit.jsonl"), "utf8");
  return text
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line));
}

async function implemented(world: ServiceWorld): Promise<void> {
  world.script(steps(...IMPLEMENTING));
  await world.issue();
  await world.line({ msg: "run ended", outcome: "succeeded" });
  await world.settled(1);
}

test("the audit tells the story: delivery, who may, decision, run, effect, what an operator did", async () => {
  await using world = await serviceWorld(ALONE);
  await implemented(world);
  await world.admin("POST", "/api/v1/pause", {});
  await world.admin("POST", "/api/v1/resume", {});

  expect(await world.cli("audit", "verify")).toMatchObject({ code: 0, errors: "" });
  const told = await lines(world);
  const of = (kind: string) => told.filter((line) => line["kind"] === kind);
  expect(of("service_started")).toHaveLength(1);
  const accepted = world.matching({ msg: "delivery", status: "accepted" });
  expect(of("delivery").map(({ delivery }) => delivery)).toEqual(
    accepted.map(({ delivery }) => delivery),
  );
  expect(of("writers")).toMatchObject([{ repo: "acme/widgets" }]);
  const decided = of("decision").map(({ decision, reason }) => `${decision}: ${reason}`);
  expect(decided[0]).toStartWith("run implement: ");
  expect(decided.filter((one, index) => one === decided[index - 1])).toEqual([]);
  expect(of("run_started")).toMatchObject([{ agent: "boss", skill: "implement", attempt: 1 }]);
  expect(of("run_ended")).toMatchObject([{ outcome: "succeeded" }]);
  expect(of("effect").map(({ tool }) => tool)).toContain("open_pull_request");
  expect(of("operator").map(({ path, status }) => [path, status])).toEqual([
    ["/api/v1/pause", 200],
    ["/api/v1/resume", 200],
  ]);
}, 40_000);

test("after kill -9 with a torn last line the start repairs it, says so, and the chain holds", async () => {
  await using world = await serviceWorld(ALONE);
  await implemented(world);
  await world.kill();
  await appendFile(join(world.stateDir, "audit.jsonl"), '{"time":"2026-11-2');
  const torn = await world.cli("audit", "verify");
  expect(torn).toMatchObject({ code: 0, errors: "" });
  expect(torn.out).toContain("is not ended (18 bytes)");

  await world.startAgain();

  await world.line({ msg: "the last line of the audit was torn and is repaired", cut_bytes: 18 });
  expect(await world.cli("audit", "verify")).toMatchObject({ code: 0, errors: "" });
  expect((await lines(world)).map(({ kind }) => kind)).toContain("audit_repaired");
}, 40_000);

test("lines that are missing do not keep the service from starting; it says so, and verify goes on saying so", async () => {
  await using world = await serviceWorld(ALONE);
  await implemented(world);
  await world.service().stop();
  const file = join(world.stateDir, "audit.jsonl");
  const all = (await readFile(file, "utf8")).split("\n").slice(0, -1);
  await writeFile(file, `${all.slice(0, -2).join("\n")}\n`);
  const found = await world.cli("audit", "verify");
  expect(found.code).toBe(1);
  expect(found.errors).toContain(`the end is missing: it stops at number ${all.length - 2}`);

  await world.startAgain();

  await world.line({ level: "error", missing_from: all.length - 1, missing_to: all.length });
  const later = await world.cli("audit", "verify", "--json");
  expect(later.code).toBe(1);
  expect(JSON.parse(later.out)).toMatchObject({
    ok: false,
    problems: [{ line: all.length - 1 }, {}],
  });
}, 40_000);
