import { expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import { countDeliveries } from "../../src/intake/count-deliveries.ts";
import { createIntake, type Intake, type IntakeOptions } from "../../src/intake/create-intake.ts";
import { rawPath } from "../../src/intake/raw-path.ts";
import type { DeliveryRecord } from "../../src/ports/store/deliveries.ts";
import type { Mark } from "../../src/ports/store/marks.ts";
import {
  BODY_BYTES,
  type Draft,
  draftOf,
  EVENTS,
  FAULTS,
  MANNERS,
  type Manner,
  PAYLOADS,
  requestOf,
} from "../support/intake-drafts.ts";
import { issuePayload, SECRET } from "../support/intake-world.ts";

/** How long all the fuzzing of this file takes together; a longer hunt sets it. */
const FUZZ_MS = Number(process.env["FUZZ_MS"] ?? 60_000);
/** The most runs of all properties together; branches.test.ts asks for a fixed number. */
const FUZZ_RUNS = Number(process.env["FUZZ_RUNS"] ?? 10_000_000);
const BODY_MS = 40;
const ignore = () => undefined;

setDefaultTimeout(FUZZ_MS + 60_000);

/** The order in which a delivery is checked (docs/http.md); the first fault answers. */
const ORDER = [404, 405, 415, 413, 408, 401, 400] as const;

/** The intake with what it would have recorded. */
function world(options: Partial<IntakeOptions> = {}) {
  const recorded: { delivery: DeliveryRecord; marks: readonly Mark[] }[] = [];
  const reasons = new Set<string>();
  const metrics = countDeliveries({ delivery: ignore });
  const intakeOf = (kind: Manner["kind"]) =>
    createIntake({
      kind,
      path: "/webhook",
      // A forge whose hook has no secret signs with the empty one: that never counts.
      secrets: () => [Buffer.alloc(0), Buffer.from(SECRET)],
      bodyBytes: BODY_BYTES,
      queueLimit: 10,
      waiting: () => 0,
      agents: () => [{ name: "boss", login: "boss" }],
      concerns: (repo) => repo === "acme/widgets",
      deliveries: {
        record: async (delivery, marks) => {
          recorded.push({ delivery, marks });
          return "accepted";
        },
      },
      now: () => 0,
      metrics,
      audit: { append: (_kind, fields) => reasons.add(String(fields["reason"])) },
      log: { debug: ignore, info: ignore, warn: ignore, error: ignore },
      ...options,
    });
  const intakes = { forgejo: intakeOf("forgejo"), gitea: intakeOf("gitea") };
  return { intake: intakes.forgejo, intakes, recorded, reasons, counts: metrics.counts };
}

/** What holds of every answer, whatever was sent. */
async function answerOf(
  intake: Intake,
  draft: Draft,
  { kind, caller }: Partial<Manner> = {},
): Promise<{ status: number; text: string }> {
  const response = await intake(requestOf(draft, kind), caller);
  const text = await response.text();
  expect([200, 202, 400, 401, 404, 405, 408, 413, 415, 503]).toContain(response.status);
  expect(text.length).toBeLessThanOrEqual(4096);
  expect(text).not.toMatch(/\/src\/|node_modules|\bat .*:\d+:\d+|Error:/);
  expect(Object.keys(JSON.parse(text))).toContain(response.status >= 400 ? "error" : "status");
  if (response.status === 503) expect(response.headers.get("retry-after")).not.toBeNull();
  return { status: response.status, text };
}

function timeBoxed(part: number): fc.Parameters<unknown> {
  return {
    numRuns: FUZZ_RUNS * part,
    interruptAfterTimeLimit: FUZZ_MS * part,
    endOnFailure: true,
  };
}

test("of several faults in one delivery the first in the order of the contract answers, and none is recorded", async () => {
  const { intakes, recorded, reasons, counts } = world({ bodyMs: BODY_MS });
  let runs = 0;

  await fc.assert(
    fc.asyncProperty(
      fc.array(FAULTS, { minLength: 1, maxLength: 4 }),
      MANNERS,
      async (faults, manner) => {
        const draft = { ...draftOf(issuePayload()), declares: manner.declares };
        for (const { apply } of faults) apply(draft);
        draft.path += manner.query;
        const isRead = draft.method !== "GET" && draft.method !== "HEAD";
        const present = new Set(faults.map(({ status }) => status));
        // A body that never arrives is not measured, unless its length was declared.
        if (draft.arrives === "never" && !draft.declares) present.delete(413);
        const expected = ORDER.find((status) => present.has(status));

        const { status } = await answerOf(intakes[manner.kind], draft, manner);

        if (isRead || expected === 404 || expected === 405) expect(status).toBe(expected ?? 0);
        expect(recorded).toHaveLength(0);
        runs += 1;
      },
    ),
    timeBoxed(0.3),
  );

  expect(runs).toBeGreaterThan(100);
  expect(counts()).toEqual({ accepted: 0, duplicate: 0, ignored: 0, refused: runs });
  if (FUZZ_MS >= 10_000) {
    expect([...reasons].sort()).toEqual(
      ["content-type", "method", "path", "shape", "signature", "size", "slow"].sort(),
    );
  }
});

test("whatever a signed body holds, it is accepted with one well-formed mark, ignored, or refused by name", async () => {
  const { intakes, recorded } = world();
  const statuses = new Set<number>();
  const said = new Set<string>();

  await fc.assert(
    fc.asyncProperty(
      PAYLOADS,
      EVENTS,
      fc.constantFrom<Draft["arrives"]>("whole", "in pieces", "broken off"),
      MANNERS,
      async (bytes, event, arrives, manner) => {
        recorded.length = 0;
        const draft = { ...draftOf(bytes, event), arrives, declares: manner.declares };
        draft.path += manner.query;

        const { status, text } = await answerOf(intakes[manner.kind], draft, manner);

        statuses.add(status);
        said.add(String(JSON.parse(text).reason ?? ""));
        expect([200, 202, 400]).toContain(status);
        expect(recorded).toHaveLength(status === 400 ? 0 : 1);
        const marks = recorded[0]?.marks ?? [];
        expect(marks).toHaveLength(status === 202 ? 1 : 0);
        for (const { repo, target } of marks) {
          expect(repo).toBe("acme/widgets");
          if (target.kind === "number") expect(target.number).toBeWithin(1, 2 ** 31);
          if (target.kind === "branch")
            expect(target.branch).not.toMatch(/^-|\.\.|[\0-\x20~^:?*[\\]/);
          if (target.kind === "sha") expect(target.sha).toMatch(/^[0-9a-f]{40,64}$/);
        }
        if (arrives === "broken off") expect(status).toBe(400);
      },
    ),
    timeBoxed(0.5),
  );

  expect([...statuses].sort()).toEqual([200, 202, 400]);
  if (FUZZ_MS >= 10_000) {
    expect([...said].sort()).toEqual(
      [
        "",
        "action does not concern us",
        "event does not concern us",
        "own echo",
        "ref is not a branch",
        "repository is not configured",
      ].sort(),
    );
  }
});

test("an intake without room or about to stop says 503 to every good delivery, and to a bad one what is wrong with it", async () => {
  const full = world({ waiting: () => 10, closing: () => false });
  const closing = world({ closing: () => true });

  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(full, closing),
      fc.array(FAULTS, { maxLength: 2 }),
      async ({ intake, recorded }, faults) => {
        const draft = draftOf(issuePayload());
        for (const { apply } of faults) apply(draft);
        fc.pre(draft.arrives === "whole" && draft.method !== "GET" && draft.method !== "HEAD");

        const { status } = await answerOf(intake, draft);

        expect(status === 503).toBe(faults.length === 0);
        expect(recorded).toHaveLength(0);
      },
    ),
    timeBoxed(0.1),
  );
});

test("what the store says of a delivery is what the forge hears: known is 200, trouble of any kind is 503", async () => {
  const answers = { accepted: 202, duplicate: 200, ignored: 200, refused: 503 };
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(
        ...(["accepted", "duplicate", new Error("the disk is full"), "no error at all"] as const),
      ),
      fc.constantFrom("issues", "push", "release"),
      async (outcome, event) => {
        const { intake, counts } = world({
          deliveries: {
            record: async () => {
              if (outcome === "accepted" || outcome === "duplicate") return outcome;
              throw outcome;
            },
          },
        });
        const body = issuePayload({ ref: "refs/heads/main" });

        const { status } = await answerOf(intake, draftOf(body, event));

        const isKept = outcome === "accepted" || outcome === "duplicate";
        const kept = outcome === "accepted" && event === "release" ? "ignored" : outcome;
        const word = isKept && typeof kept === "string" && kept in answers ? kept : "refused";
        expect(counts()).toEqual({ accepted: 0, duplicate: 0, ignored: 0, refused: 0, [word]: 1 });
        expect(status).toBe(new Map(Object.entries(answers)).get(word) ?? 0);
      },
    ),
    timeBoxed(0.05),
  );
});

test("the path of any URL stands in it, up to the query, and any word can be counted", async () => {
  const word = fc.oneof(fc.constantFrom("accepted", "ignored", "refused"), fc.string());
  const piece = fc.oneof(fc.constantFrom("http:", "/", "?", "#", "host", "%77"), fc.string());
  await fc.assert(
    fc.asyncProperty(fc.array(piece), fc.array(word), async (pieces, words) => {
      const url = pieces.join("");
      const path = rawPath(url);
      expect(path).toMatch(/^(?:\/[^?#]*)?$/);
      expect((url.split(/[?#]/)[0] ?? "").endsWith(path)).toBe(true);

      const counter = countDeliveries({ delivery: ignore });
      for (const status of words) counter.delivery(status);
      const counted = Object.values(counter.counts()).reduce((sum, count) => sum + count, 0);
      expect(counted).toBe(
        words.filter((status) => Object.keys(counter.counts()).includes(status)).length,
      );
    }),
    timeBoxed(0.05),
  );
});

test("bodies that never end hold no more than the common budget, and give it back when their time is over", async () => {
  const { intake, reasons } = world({ bodyMs: 2_000 });
  const openers = Array.from({ length: (256 * 1024 * 1024) / BODY_BYTES + 10 }, () => {
    const draft = { ...draftOf(issuePayload()), arrives: "never" as const };
    draft.headers["content-length"] = String(BODY_BYTES);
    return answerOf(intake, draft);
  });
  // What comes without a length counts as it arrives.
  const undeclared = {
    ...draftOf(Buffer.alloc(BODY_BYTES)),
    arrives: "stops after a piece" as const,
  };
  const pieces = Array.from({ length: 5 }, () => answerOf(intake, undeclared));

  const statuses = await Promise.all(openers.map(async (answer) => (await answer).status));
  const others = await Promise.all(pieces.map(async (answer) => (await answer).status));

  expect(reasons).toContain("capacity");
  expect(new Set(statuses)).toEqual(new Set([408, 503]));
  expect(others).toContain(503);
  expect((await answerOf(intake, draftOf(issuePayload()))).status).toBe(202);
});
