import fc from "fast-check";
import type { IntakeOptions } from "../../src/intake/create-intake.ts";
import { deliveryHeaders, issuePayload, SECRET, sign } from "./intake-world.ts";

/** The largest body the fuzzed intake takes. */
export const BODY_BYTES = 20_000;

/** What a delivery is made of before it becomes a request. */
export interface Draft {
  method: string;
  path: string;
  headers: Record<string, string | null>;
  event: string | null;
  id: string | null;
  bytes: Buffer;
  /** Null: the right one. */
  signature: string | null;
  /** Whether its length stands in a header. */
  declares: boolean;
  arrives: "whole" | "in pieces" | "never" | "broken off" | "stops after a piece";
}

/** One thing that is wrong with a delivery, and the answer that it asks for. */
export interface Fault {
  readonly status: number;
  readonly apply: (draft: Draft) => void;
}

/** Everything about a delivery that must not change how it is answered. */
export interface Manner {
  readonly kind: IntakeOptions["kind"];
  readonly declares: boolean;
  readonly query: string;
  readonly caller: { requestIP(): { address: string } | null } | undefined;
}

/** Any of the manners in which a good or a bad delivery comes. */
export const MANNERS: fc.Arbitrary<Manner> = fc.record({
  kind: fc.constantFrom("forgejo", "gitea"),
  declares: fc.boolean(),
  query: fc.constantFrom("", "?", "?x=/webhook", "?a=b#c"),
  caller: fc.constantFrom(
    undefined,
    { requestIP: () => null },
    { requestIP: () => ({ address: "127.0.0.1" }) },
  ),
});

export const FAULTS: fc.Arbitrary<Fault> = fc.oneof(
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
  fault(401, fc.constant(null), (draft) => {
    draft.headers["x-forgejo-signature"] = null;
  }),
  fault(
    401,
    fc.oneof(
      fc.constantFrom("", "0".repeat(64), `sha256=${"0".repeat(64)}`, "A".repeat(64)),
      fc.constant(sign(Buffer.from(JSON.stringify(issuePayload())), "")),
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
    fc.constantFrom(null, "", "Issues", "issues, push", "../x", "a".repeat(65)),
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

const repository = mostly(
  fc.constantFrom("acme/widgets", "Acme/Widgets").map((name) => ({ full_name: name })),
  fc.oneof(
    fc.constantFrom("a/b", "..", "a/..", 1).map((name) => ({ full_name: name })),
    fc.jsonValue(),
  ),
);
const commitId = mostly(
  fc.string({ unit: fc.constantFrom(..."0123456789abcdef"), minLength: 40, maxLength: 40 }),
  fc.string(),
);
const number = mostly(
  fc.nat(100).map((value) => value + 1),
  fc.oneof(fc.integer(), fc.double(), fc.jsonValue()),
);
const branch = fc.oneof(
  fc.constantFrom("main", "boss/2", "-x", "a..b", "a b", "x.lock", "", "a".repeat(300), "\ud800"),
  fc.string(),
);

/** Nine times of ten what is right, else what is not. */
function mostly(right: fc.Arbitrary<unknown>, wrong: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: 9, arbitrary: right }, { weight: 1, arbitrary: wrong });
}

/** JSON that looks like a delivery in some places and like nothing in others. */
export const PAYLOADS: fc.Arbitrary<Buffer> = fc.oneof(
  fc.json({ maxDepth: 4 }).map((text) => Buffer.from(text)),
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  ...Array.from({ length: 4 }, () =>
    fc
      .record(
        {
          action: mostly(
            fc.constantFrom("opened", "edited", "assigned", "completed", "failure", "constructor"),
            fc.jsonValue(),
          ),
          issue: mostly(fc.record({ number }), fc.jsonValue()),
          pull_request: mostly(fc.record({ number }), fc.jsonValue()),
          repository,
          sender: mostly(
            fc.constantFrom("alice", "boss", "BOSS").map((login) => ({ login })),
            fc.jsonValue(),
          ),
          ref: mostly(
            fc
              .tuple(fc.constantFrom("", "refs/heads/", "refs/tags/"), branch)
              .map((parts) => parts.join("")),
            fc.jsonValue(),
          ),
          ref_type: fc.constantFrom("branch", "tag", "x"),
          sha: commitId,
          workflow_run: mostly(fc.record({ head_sha: commitId }), fc.jsonValue()),
          run: mostly(fc.record({ commit_sha: commitId, repository }), fc.jsonValue()),
        },
        { requiredKeys: ["repository", "action"] },
      )
      .map((value) => Buffer.from(JSON.stringify(value))),
  ),
  fc.tuple(fc.constant(issuePayload()), fc.nat(), fc.nat(255)).map(([value, at, byte]) => {
    const bytes = Buffer.from(JSON.stringify(value));
    bytes[at % bytes.length] = byte;
    return bytes;
  }),
  // Brackets by the dozen: too deep, side by side, or within a text that also has escapes.
  fc
    .tuple(fc.integer({ min: 60, max: 90 }), fc.constantFrom("deep", "wide", "text"))
    .map(([count, how]) =>
      Buffer.from(JSON.stringify(issuePayload({ more: brackets(count, how) }))),
    ),
);

function brackets(count: number, how: "deep" | "wide" | "text"): unknown {
  if (how === "text") return `"\\${"[{".repeat(count)}`;
  if (how === "wide") return Array.from({ length: count }, () => ({}));
  let value: unknown = {};
  for (let depth = 0; depth < count; depth += 1) value = [value];
  return value;
}

export const EVENTS: fc.Arbitrary<string> = fc.constantFrom(
  ..."issues issue_assign issue_label issue_comment pull_request pull_request_sync pull_request_review_approved push create delete status workflow_run action_run_failure release constructor toString valueOf".split(
    " ",
  ),
);

/** A good delivery of this body: a value is sent as JSON, bytes as they are. */
export function draftOf(body: unknown, event = "issues"): Draft {
  const bytes = Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body));
  return {
    method: "POST",
    path: "/webhook",
    headers: {},
    event,
    id: crypto.randomUUID(),
    bytes,
    signature: null,
    declares: false,
    arrives: "whole",
  };
}

/** The request of a draft, as a forge of this family would send it. */
export function requestOf(draft: Draft, kind: Manner["kind"] = "forgejo"): Request {
  const headers = deliveryHeaders(
    {
      event: draft.event,
      id: draft.id,
      signature: draft.signature ?? sign(draft.bytes, SECRET),
      headers: draft.headers,
    },
    draft.bytes,
  );
  const named = Object.entries(headers).map(([name, value]): [string, string] => [
    name.replace("x-forgejo-", `x-${kind}-`),
    value,
  ]);
  if (draft.declares) named.push(["content-length", String(draft.bytes.length)]);
  const body = draft.method === "GET" || draft.method === "HEAD" ? null : bodyOf(draft);
  return new Request(`http://127.0.0.1${draft.path}`, {
    method: draft.method,
    headers: named,
    ...(body !== null && { body }),
  });
}

/** Null: the request has no body at all, which is how an empty one comes. */
function bodyOf({ arrives, bytes }: Draft): Uint8Array<ArrayBuffer> | ReadableStream | null {
  if (arrives === "whole") return bytes.length === 0 ? null : new Uint8Array(bytes);
  const pieces = [bytes.subarray(0, bytes.length / 2), bytes.subarray(bytes.length / 2)];
  return new ReadableStream({
    async pull(controller) {
      const stops = arrives === "never" || (arrives === "stops after a piece" && pieces.length < 2);
      const piece = pieces.shift();
      if (stops) {
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
