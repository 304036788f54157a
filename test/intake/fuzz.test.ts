import { expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import { createIntake, type Intake } from "../../src/intake/create-intake.ts";
import type { DeliveryRecord, Mark } from "../../src/ports/store.ts";
import { deliveryHeaders, issuePayload, SECRET, sign } from "../support/intake-world.ts";

/** How long all the fuzzing of this file takes together; a longer hunt sets it. */
const FUZZ_MS = Number(process.env["FUZZ_MS"] ?? 60_000);
const BODY_BYTES = 20_000;
const BODY_MS = 40;
const ignore = () => undefined;

setDefaultTimeout(FUZZ_MS + 60_000);

/** What a delivery is made of before it becomes a request. */
interface Draft {
  method: string;
  path: string;
  headers: Record<string, string | null>;
  event: string;
  id: string | null;
  bytes: Buffer;
  /** Null: the right one. */
  signature: string | null;
  arrives: "whole" | "in pieces" | "never" | "broken off";
}

/** One thing that is wrong with a delivery, and the answer that it asks for. */
interface Fault {
  readonly status: number;
  readonly apply: (draft: Draft) => void;
}

/** The order in which a delivery is checked (docs/http.md); the first fault answers. */
const ORDER = [404, 405, 415, 413, 408, 401, 400] as const;

const FAULTS: fc.Arbitrary<Fault> = fc.oneof(
  fault(
    404,
    fc.webPath().filter((path) => path !== "/webhook" && path.startsWith("/")),
    (draft, path) => {
      draft.path = path;
    },
  ),
  fault(
    405,
    fc.constantFrom("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"),
    (draft, method) => {
      draft.method = method;
    },
  ),
  fault(
    415,
    fc.constantFrom(
      null,
      "text/plain",
      "application/json; charset=latin1",
      "application/json, text/html",
      "x",
    ),
    (draft, type) => {
      draft.headers["content-type"] = type;
    },
  ),
  fault(415, fc.constantFrom("gzip", "identity", "br, gzip"), (draft, encoding) => {
    draft.headers["content-encoding"] = encoding;
  }),
  fault(413, fc.integer({ min: BODY_BYTES + 1, max: 3 * BODY_BYTES }), (draft, length) => {
    draft.bytes = Buffer.alloc(length, " ");
    draft.signature = null;
  }),
  fault(408, fc.constant(null), (draft) => {
    draft.arrives = "never";
  }),
  fault(
    401,
    fc.oneof(
      fc.constantFrom("", "0".repeat(64), `sha256=${"0".repeat(64)}`, "A".repeat(64)),
      fc.string({ unit: fc.constantFrom(..."0123456789abcdefgXYZ, ") }),
    ),
    (draft, signature) => {
      draft.signature = signature;
    },
  ),
  fault(
    400,
    fc.oneof(
      fc.constantFrom(null, "", "a, b", "../../x"),
      fc.string({ unit: "binary-ascii", maxLength: 80 }),
    ),
    (draft, id) => {
      const isGood = id !== null && /^[0-9a-f-]{8,64}$/i.test(id.trim());
      draft.id = isGood || (id !== null && !isHeaderValue(id)) ? "x" : id;
    },
  ),
  fault(
    400,
    fc.constantFrom("", "Issues", "issues, push", "../x", "a".repeat(65)),
    (draft, event) => {
      draft.event = event;
    },
  ),
);

function fault<T>(
  status: number,
  values: fc.Arbitrary<T>,
  change: (draft: Draft, value: T) => void,
): fc.Arbitrary<Fault> {
  return values.map((value) => ({ status, apply: (draft) => change(draft, value) }));
}

function isHeaderValue(text: string): boolean {
  return /^[\x20-\x7e]*$/.test(text);
}

/** The intake with what it would have recorded. */
function world(options: { readonly bodyMs?: number; readonly full?: () => boolean } = {}) {
  const recorded: { delivery: DeliveryRecord; marks: readonly Mark[] }[] = [];
  const reasons = new Set<string>();
  const intake = createIntake({
    kind: "forgejo",
    path: "/webhook",
    secrets: () => [Buffer.from(SECRET)],
    bodyBytes: BODY_BYTES,
    bodyMs: options.bodyMs ?? BODY_MS,
    queueLimit: 10,
    waiting: () => (options.full?.() === true ? 10 : 0),
    agents: () => [{ name: "boss", login: "boss" }],
    concerns: (repo) => repo === "acme/widgets",
    deliveries: {
      record: async (delivery, marks) => {
        recorded.push({ delivery, marks });
        return "accepted";
      },
    },
    now: () => 0,
    metrics: { delivery: ignore },
    audit: { append: (_kind, fields) => reasons.add(String(fields["reason"])) },
    log: { debug: ignore, info: ignore, warn: ignore, error: ignore },
  });
  return { intake, recorded, reasons };
}

function draftOf(body: unknown, event = "issues"): Draft {
  const bytes = Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body));
  return {
    method: "POST",
    path: "/webhook",
    headers: {},
    event,
    id: crypto.randomUUID(),
    bytes,
    signature: null,
    arrives: "whole",
  };
}

function requestOf(draft: Draft): Request {
  const headers = deliveryHeaders(
    {
      event: draft.event,
      id: draft.id,
      signature: draft.signature ?? sign(draft.bytes),
      headers: draft.headers,
    },
    draft.bytes,
  );
  const hasBody = draft.method !== "GET" && draft.method !== "HEAD";
  return new Request(`http://127.0.0.1${draft.path}`, {
    method: draft.method,
    headers,
    ...(hasBody && { body: bodyOf(draft) }),
  });
}

function bodyOf({ arrives, bytes }: Draft): Uint8Array<ArrayBuffer> | ReadableStream {
  if (arrives === "whole") return new Uint8Array(bytes);
  const pieces = [bytes.subarray(0, bytes.length / 2), bytes.subarray(bytes.length / 2)];
  return new ReadableStream({
    async pull(controller) {
      const piece = pieces.shift();
      if (arrives === "never") {
        await Promise.withResolvers<void>().promise;
      } else if (arrives === "broken off" && pieces.length === 0) {
        controller.error(new DOMException("the client went away", "AbortError"));
      } else if (piece === undefined) {
        controller.close();
      } else {
        controller.enqueue(new Uint8Array(piece));
      }
    },
  });
}

/** What holds of every answer, whatever was sent. */
async function answerOf(intake: Intake, draft: Draft): Promise<{ status: number; text: string }> {
  const response = await intake(requestOf(draft));
  const text = await response.text();
  expect([200, 202, 400, 401, 404, 405, 408, 413, 415, 503]).toContain(response.status);
  expect(text.length).toBeLessThanOrEqual(4096);
  expect(text).not.toMatch(/\/src\/|node_modules|\bat .*:\d+:\d+|Error:/);
  expect(Object.keys(JSON.parse(text))).toContain(response.status >= 400 ? "error" : "status");
  if (response.status === 503) expect(response.headers.get("retry-after")).not.toBeNull();
  return { status: response.status, text };
}

function timeBoxed(part: number): fc.Parameters<unknown> {
  return { numRuns: 1_000_000, interruptAfterTimeLimit: FUZZ_MS * part, endOnFailure: true };
}

test("of several faults in one delivery the first in the order of the contract answers, and none is recorded", async () => {
  const { intake, recorded, reasons } = world();
  let runs = 0;

  await fc.assert(
    fc.asyncProperty(fc.array(FAULTS, { minLength: 1, maxLength: 4 }), async (faults) => {
      const draft = draftOf(issuePayload());
      for (const { apply } of faults) apply(draft);
      const isRead = draft.method !== "GET" && draft.method !== "HEAD";
      const present = new Set(faults.map(({ status }) => status));
      // A body that never arrives is not measured, unless its length was declared.
      if (draft.arrives === "never") present.delete(413);
      const expected = ORDER.find((status) => present.has(status));

      const { status } = await answerOf(intake, draft);

      if (isRead || expected === 404 || expected === 405) expect(status).toBe(expected ?? 0);
      expect(recorded).toHaveLength(0);
      runs += 1;
    }),
    timeBoxed(0.3),
  );

  expect(runs).toBeGreaterThan(100);
  if (FUZZ_MS >= 10_000) {
    expect([...reasons].sort()).toEqual(
      ["content-type", "method", "path", "shape", "signature", "size", "slow"].sort(),
    );
  }
});

/** JSON that looks like a delivery in some places and like nothing in others. */
const PAYLOADS = fc.oneof(
  fc
    .constantFrom("alice", "boss")
    .map((login) =>
      Buffer.from(JSON.stringify(issuePayload({ action: "edited", sender: { login } }))),
    ),
  fc.json({ maxDepth: 4 }).map((text) => Buffer.from(text)),
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  fc
    .record(
      {
        action: fc.oneof(
          fc.constantFrom("opened", "created", "edited", "assigned", "constructor"),
          fc.jsonValue(),
        ),
        issue: fc.oneof(
          fc.record({ number: fc.oneof(fc.nat(100), fc.double(), fc.jsonValue()) }),
          fc.jsonValue(),
        ),
        pull_request: fc.oneof(fc.record({ number: fc.integer() }), fc.jsonValue()),
        repository: fc.oneof(
          fc.record({
            full_name: fc.oneof(
              fc.constantFrom("acme/widgets", "Acme/Widgets", "a/b", ".."),
              fc.string(),
            ),
          }),
          fc.jsonValue(),
        ),
        sender: fc.oneof(
          fc.record({ login: fc.oneof(fc.constantFrom("alice", "boss"), fc.string()) }),
          fc.jsonValue(),
        ),
        ref: fc.oneof(
          fc.constantFrom("refs/heads/main", "refs/tags/v1", "main", "refs/heads/-x"),
          fc.string(),
        ),
        ref_type: fc.constantFrom("branch", "tag", "x"),
        sha: fc.oneof(
          fc.string({ unit: fc.constantFrom(..."0123456789abcdef"), minLength: 40, maxLength: 40 }),
          fc.string(),
        ),
      },
      { requiredKeys: [] },
    )
    .map((value) => Buffer.from(JSON.stringify(value))),
  fc.tuple(fc.constant(issuePayload()), fc.nat(), fc.nat(255)).map(([value, at, byte]) => {
    const bytes = Buffer.from(JSON.stringify(value));
    bytes[at % bytes.length] = byte;
    return bytes;
  }),
);

const EVENTS = fc.constantFrom(
  ..."issues issue_assign issue_label issue_comment pull_request pull_request_sync pull_request_review_approved push create delete status workflow_run action_run_failure release constructor toString valueOf".split(
    " ",
  ),
);

test("whatever a signed body holds, it is accepted with one well-formed mark, ignored, or refused by name", async () => {
  const { intake, recorded } = world();
  const statuses = new Set<number>();
  const said = new Set<string>();

  await fc.assert(
    fc.asyncProperty(
      PAYLOADS,
      EVENTS,
      fc.constantFrom<Draft["arrives"]>("whole", "in pieces", "broken off"),
      async (bytes, event, arrives) => {
        recorded.length = 0;
        const draft = { ...draftOf(bytes, event), arrives };

        const { status, text } = await answerOf(intake, draft);

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
    timeBoxed(0.6),
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

test("an intake without room says 503 to every good delivery, and to a bad one what is wrong with it", async () => {
  const { intake, recorded } = world({ full: () => true });

  await fc.assert(
    fc.asyncProperty(fc.array(FAULTS, { maxLength: 2 }), async (faults) => {
      const draft = draftOf(issuePayload());
      for (const { apply } of faults) apply(draft);
      fc.pre(draft.arrives === "whole" && draft.method !== "GET" && draft.method !== "HEAD");

      const { status } = await answerOf(intake, draft);

      expect(status === 503).toBe(faults.length === 0);
      expect(recorded).toHaveLength(0);
    }),
    timeBoxed(0.1),
  );
});

test("bodies that never end hold no more than the common budget, and give it back when their time is over", async () => {
  const { intake, reasons } = world({ bodyMs: 2_000 });
  const openers = Array.from({ length: (256 * 1024 * 1024) / BODY_BYTES + 10 }, () => {
    const draft = { ...draftOf(issuePayload()), arrives: "never" as const };
    draft.headers["content-length"] = String(BODY_BYTES);
    return answerOf(intake, draft);
  });

  const statuses = await Promise.all(openers.map(async (answer) => (await answer).status));

  expect(reasons).toContain("capacity");
  expect(new Set(statuses)).toEqual(new Set([408, 503]));
  expect((await answerOf(intake, draftOf(issuePayload()))).status).toBe(202);
});
