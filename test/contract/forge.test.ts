import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { accessCases } from "./cases/access.ts";
import { branchCases } from "./cases/branches.ts";
import { gitCases } from "./cases/git.ts";
import { issueCases } from "./cases/issues.ts";
import { labelCases } from "./cases/labels.ts";
import { mergeCases } from "./cases/merge.ts";
import { pullCases } from "./cases/pulls.ts";
import { reviewRequestCases } from "./cases/review-requests.ts";
import { reviewCases } from "./cases/reviews.ts";
import { searchCases } from "./cases/search.ts";
import { statusCases } from "./cases/statuses.ts";
import { timelineCases } from "./cases/timeline.ts";
import { webhookShapeCases } from "./cases/webhook-shapes.ts";
import { webhookCases } from "./cases/webhooks.ts";
import { createCheck, findingLine } from "./check.ts";
import type { ContractCase } from "./contract-case.ts";
import { openForge } from "./forge-under-test.ts";
import { openWorld, type World } from "./world.ts";

const CASE_TIMEOUT_MS = 60_000;
const GROUPS: [string, ContractCase[]][] = [
  ["access", accessCases],
  ["git", gitCases],
  ["issues", issueCases],
  ["timeline", timelineCases],
  ["labels", labelCases],
  ["search", searchCases],
  ["pull requests", pullCases],
  ["reviews", reviewCases],
  ["review requests", reviewRequestCases],
  ["merge", mergeCases],
  ["statuses", statusCases],
  ["branches", branchCases],
  ["webhooks", webhookCases],
  ["webhook shapes", webhookShapeCases],
];

let world: World | undefined;

beforeAll(async () => {
  world = await openWorld(await openForge());
}, CASE_TIMEOUT_MS);

afterAll(async () => {
  await world?.close();
}, CASE_TIMEOUT_MS);

for (const [group, cases] of GROUPS)
  describe(`a forge: ${group}`, () => {
    for (const one of cases) test(one.name, () => runCase(one), CASE_TIMEOUT_MS);
  });

async function runCase(one: ContractCase): Promise<void> {
  if (world === undefined) throw new Error("the server could not be set up");
  const check = createCheck();
  await one.run(world, check);
  const failed = check.findings.filter((finding) => !finding.holds);
  if (!world.forge.isEmbedded || failed.length > 0) {
    const lines = check.findings.map(findingLine);
    console.log([`${one.name}\n  rests on: ${one.restsOn}`, ...lines].join("\n"));
  }
  expect(check.findings.length, "a case must look at something").toBeGreaterThan(0);
  expect(failed.map(findingLine)).toEqual([]);
}
