import { createHash } from "node:crypto";
import { parseJson } from "../json/parse.ts";
import type { Audit, Log, Metrics } from "../ports/observe.ts";
import type { DeliveryRecord, DeliveryStore } from "../ports/store/deliveries.ts";
import type { Mark } from "../ports/store/marks.ts";
import { createBodyReader } from "./body-reader.ts";
import {
  type FamilyHeaders,
  type ForgeFamily,
  familyHeaders,
  isPlainJson,
  readHeaders,
} from "./headers.ts";
import { isDeeperThan } from "./json-depth.ts";
import { type Concern, judge } from "./judge.ts";
import { type Hint, type PayloadReading, readPayload } from "./payload.ts";
import { rawPath } from "./raw-path.ts";
import { isSigned } from "./signature.ts";

/** Nested deeper than this is nobody's payload (the forges' own reach 8). */
const JSON_DEPTH = 64;
const OPEN_BODY_BYTES = 256 * 1024 * 1024;
const BODY_MS = 10_000;
const RETRY_SECONDS = "10";

/** What the intake checks deliveries against, and where it keeps them. */
export interface IntakeOptions extends Concern {
  readonly kind: ForgeFamily;
  readonly path: string;
  /** Read at every delivery, so that a reload counts at once; several during a rotation. */
  readonly secrets: () => readonly Buffer[];
  readonly bodyBytes: number;
  /** How long a body may take to arrive, in milliseconds; 10 s when absent (a forge gives up at 5 s). */
  readonly bodyMs?: number;
  readonly queueLimit: number;
  /** How many deliveries wait for their work item to be looked at. */
  readonly waiting: () => number;
  /** True in the last moment of a shutdown: what comes then is sent away with 503. */
  readonly closing?: () => boolean;
  readonly deliveries: Pick<DeliveryStore, "record">;
  /** Epoch milliseconds. */
  readonly now: () => number;
  readonly metrics: Pick<Metrics, "delivery">;
  readonly audit: Audit;
  readonly log: Log;
}

/** The part of Bun's server the intake asks for the caller's address. */
interface Caller {
  requestIP(request: Request): { readonly address: string } | null;
}

/** Answers one request; never throws and never answers 5xx but 503. */
export type Intake = (request: Request, caller?: Caller) => Promise<Response>;

/**
 * Makes the function that takes in deliveries: limits, signature over the raw bytes, shape, then
 * one durable record with its mark, then 202. The order of the checks is part of the contract:
 * 404, 405, 415, 413, 401, 400, 503, 200, 202. Above `queueLimit`, what is being recorded included,
 * nothing is recorded; of what was ignored before, a redelivery is judged anew (see DeliveryStore).
 */
export function createIntake(options: IntakeOptions): Intake {
  const names = familyHeaders(options.kind);
  // What waits for the store counts too: a slow disk must not let it grow without end.
  const open = { records: 0 };
  const read = createBodyReader({
    bodyBytes: options.bodyBytes,
    bodyMs: options.bodyMs ?? BODY_MS,
    openBytes: OPEN_BODY_BYTES,
  });
  /** Its result is all that stays while the store writes: the body is only digested. */
  const take = async (request: Request, caller?: Caller): Promise<Response | Taken> => {
    const early = refusalOfRequest(request, options);
    if (early !== null) {
      return refuse(early, options, callerOf(request, caller));
    }
    const body = await read(request);
    if (!body.ok) {
      return refuse(BODY_REFUSALS[body.why], options, callerOf(request, caller));
    }
    if (!isSigned(body.bytes, request.headers.get(names.signature), options.secrets())) {
      return refuse(UNSIGNED, options, callerOf(request, caller));
    }
    const delivery = readDelivery(request.headers, names, body.bytes);
    if (!delivery.ok) {
      options.log.warn("delivery refused", { reason: delivery.wrong });
      return refuse(shapeRefusal(delivery.wrong), options, callerOf(request, caller));
    }
    if (options.closing?.() === true || options.waiting() + open.records >= options.queueLimit) {
      options.log.warn("delivery refused: over capacity", { delivery: delivery.id });
      return refuse(BUSY, options, callerOf(request, caller));
    }
    const { mark, ignored } = judge(delivery, options);
    const row = recordOf(delivery, ignored, {
      receivedAt: options.now(),
      bodySha256: createHash("sha256").update(body.bytes).digest("hex"),
    });
    return { row, marks: mark === null ? [] : [mark] };
  };
  return async (request, caller) => {
    const taken = await take(request, caller);
    if (taken instanceof Response) {
      return taken;
    }
    open.records += 1;
    try {
      return await record(taken, options);
    } finally {
      open.records -= 1;
    }
  };
}

/** A delivery that is to be recorded. */
interface Taken {
  readonly row: DeliveryRecord;
  readonly marks: readonly Mark[];
}

interface Refusal {
  readonly status: number;
  /** The fixed word under which it is counted and audited. */
  readonly reason: string;
  readonly error: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const UNSIGNED: Refusal = {
  status: 401,
  reason: "signature",
  error: "signature missing or wrong",
};
const BUSY: Refusal = {
  status: 503,
  reason: "capacity",
  error: "over capacity, nothing was recorded",
  headers: { "retry-after": RETRY_SECONDS },
};
const UNRECORDED: Refusal = {
  ...BUSY,
  reason: "store",
  error: "could not be recorded, send it again",
};
const BODY_REFUSALS = {
  too_large: { status: 413, reason: "size", error: "body too large" },
  too_many: BUSY,
  // Bun goes on reading a body that was answered early; only `close` ends the dripping.
  too_slow: {
    status: 408,
    reason: "slow",
    error: "body did not arrive in time",
    headers: { connection: "close" },
  },
  gone: { status: 400, reason: "aborted", error: "body ended early" },
} as const satisfies Record<string, Refusal>;

function refusalOfRequest(request: Request, options: IntakeOptions): Refusal | null {
  if (rawPath(request.url) !== options.path) {
    return { status: 404, reason: "path", error: "not found" };
  }
  if (request.method !== "POST") {
    return {
      status: 405,
      reason: "method",
      error: "only POST",
      headers: { allow: "POST" },
    };
  }
  if (!isPlainJson(request.headers)) {
    return {
      status: 415,
      reason: "content-type",
      error: "content type must be application/json in UTF-8, without content encoding",
    };
  }
  return null;
}

function shapeRefusal(wrong: string): Refusal {
  return { status: 400, reason: "shape", error: wrong };
}

type Delivery = Extract<PayloadReading, { ok: true }> & {
  readonly id: string;
  readonly event: string;
};

function readDelivery(
  headers: Headers,
  names: FamilyHeaders,
  bytes: Uint8Array,
): Delivery | { readonly ok: false; readonly wrong: string } {
  const head = readHeaders(headers, names);
  if (!head.ok) {
    return head;
  }
  const json = readJson(bytes);
  if (!json.ok) {
    return json;
  }
  const payload = readPayload(head.event, json.value);
  return payload.ok ? { ...payload, id: head.id, event: head.event } : payload;
}

function readJson(
  bytes: Uint8Array,
): { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly wrong: string } {
  if (isDeeperThan(bytes, JSON_DEPTH)) {
    return { ok: false, wrong: `body: nested deeper than ${JSON_DEPTH}` };
  }
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return { ok: false, wrong: "body: not valid UTF-8" };
  }
  try {
    return { ok: true, value: parseJson(text) };
  } catch {
    return { ok: false, wrong: "body: not valid JSON" };
  }
}

async function record({ row, marks }: Taken, options: IntakeOptions): Promise<Response> {
  let kept: "accepted" | "duplicate";
  try {
    kept = await options.deliveries.record(row, marks);
  } catch (error) {
    // Not recorded is not accepted: whatever the store's trouble, the forge must see a failure.
    options.log.error("delivery not recorded", {
      delivery: row.id,
      error: error instanceof Error ? error.message : String(error),
    });
    return refuse(UNRECORDED, options, null);
  }
  const status = kept === "duplicate" ? "duplicate" : row.status;
  options.metrics.delivery(status);
  options.log.info("delivery", {
    delivery: row.id,
    event: row.event,
    status,
    ...(row.repo !== null && { repo: row.repo }),
    ...(row.number !== null && { number: row.number }),
  });
  if (status === "ignored") {
    return Response.json({ status, reason: row.reason });
  }
  return Response.json({ delivery: row.id, status }, { status: status === "accepted" ? 202 : 200 });
}

function recordOf(
  delivery: { readonly id: string; readonly event: string; readonly hint: Hint },
  ignored: string | null,
  rest: Pick<DeliveryRecord, "receivedAt" | "bodySha256">,
): DeliveryRecord {
  const { repo, sender, target } = delivery.hint;
  return {
    id: delivery.id,
    event: delivery.event,
    repo,
    number: target?.kind === "number" ? target.number : null,
    sender,
    status: ignored === null ? "accepted" : "ignored",
    reason: ignored,
    ...rest,
  };
}

function callerOf(request: Request, caller: Caller | undefined): string | null {
  return caller?.requestIP(request)?.address ?? null;
}

/** Counts, leaves the audit line (one per reason and minute is kept by the audit) and answers. */
function refuse(refusal: Refusal, options: IntakeOptions, from: string | null): Response {
  options.metrics.delivery("refused");
  options.audit.append("delivery_refused", {
    reason: refusal.reason,
    status: refusal.status,
    from,
  });
  return Response.json(
    { error: refusal.error },
    { status: refusal.status, ...(refusal.headers && { headers: refusal.headers }) },
  );
}
