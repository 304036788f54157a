import { createHmac } from "node:crypto";
import PQueue from "p-queue";
import type { Faults } from "./faults.ts";
import { type Hook, LIMITS } from "./state.ts";

/** One webhook as it went out; `status` is undefined when no answer came (or it was dropped). */
export type Delivery = {
  id: string;
  hookId: number;
  eventType: string;
  event: string;
  url: string;
  headers: Record<string, string>;
  body: string;
  status: number | undefined;
  error: string | undefined;
};

export type DeliveryQueue = {
  /** The newest deliveries, oldest first. */
  log: Delivery[];
  /** Sends a payload to a hook in the background, at most once, in order per hook. */
  send: (hook: Hook, eventType: string, payload: unknown) => void;
  idle: () => Promise<void>;
  stop: () => Promise<void>;
};

/** Forgejo: `[webhook] DELIVER_TIMEOUT`, for the whole exchange. */
const DELIVER_TIMEOUT_MS = 5000;

/** Where X-*-Event differs from X-*-Event-Type (Forgejo: modules/webhook/type.go). */
const EVENT_OF: Record<string, string> = {
  issue_assign: "issues",
  issue_label: "issues",
  pull_request_assign: "pull_request",
  pull_request_label: "pull_request",
  pull_request_sync: "pull_request",
  pull_request_review_request: "pull_request",
  pull_request_comment: "issue_comment",
  pull_request_review_approved: "pull_request_approved",
  pull_request_review_rejected: "pull_request_rejected",
  pull_request_review_comment: "pull_request_comment",
};

/**
 * @returns the sender of webhooks: no retry, a failed delivery is lost, as on Forgejo.
 */
export function createDeliveryQueue({
  faults,
  newId,
}: {
  faults: Faults;
  newId: () => string;
}): DeliveryQueue {
  const queues = new Map<number, PQueue>();
  const log: Delivery[] = [];
  const stopped = new AbortController();

  const queueOf = (hook: Hook): PQueue => {
    const existing = queues.get(hook.id);
    if (existing !== undefined) return existing;
    const created = new PQueue({ concurrency: 1 });
    queues.set(hook.id, created);
    return created;
  };

  return {
    log,
    send: (hook, eventType, payload) => {
      const queue = queueOf(hook);
      if (stopped.signal.aborted || queue.size >= LIMITS.waitingDeliveries) return;
      const delivery = prepare(hook, eventType, { id: newId(), payload });
      log.push(delivery);
      if (log.length > LIMITS.deliveries) log.shift();
      const times = faults.takeWebhook(eventType);
      for (let copy = 0; copy < times; copy += 1) {
        queue
          .add(() => post(delivery, { delayMs: faults.webhookDelayMs(), signal: stopped.signal }))
          .catch((error: unknown) => {
            delivery.error = String(error);
          });
      }
    },
    idle: async () => {
      await Promise.all([...queues.values()].map((queue) => queue.onIdle()));
    },
    stop: async () => {
      stopped.abort();
      for (const queue of queues.values()) queue.clear();
      await Promise.all([...queues.values()].map((queue) => queue.onIdle()));
    },
  };
}

/**
 * @returns the bytes of a webhook body as Go writes them: 2-space indent, `<`, `>`, `&` and the
 * two line separators escaped, no final newline.
 */
function goJson(value: unknown, indent = 2): string {
  return JSON.stringify(value, null, indent).replace(
    /[<>&\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function prepare(
  hook: Hook,
  eventType: string,
  { id, payload }: { id: string; payload: unknown },
): Delivery {
  const json = goJson(payload, eventType === "repository" ? 1 : 2);
  const isForm = hook.contentType === "form";
  const body = isForm ? new URLSearchParams({ payload: json }).toString() : json;
  const event = EVENT_OF[eventType] ?? eventType;
  return {
    id,
    hookId: hook.id,
    eventType,
    event,
    url: hook.url,
    headers: headersOf(hook, { id, event, eventType, json }),
    body,
    status: undefined,
    error: undefined,
  };
}

/** Forgejo: services/webhook/shared/payloader.go; the MAC is over the JSON, also for a form. */
function headersOf(
  hook: Hook,
  { id, event, eventType, json }: { id: string; event: string; eventType: string; json: string },
): Record<string, string> {
  const mac = (algorithm: string): string =>
    hook.secret === "" ? "" : createHmac(algorithm, hook.secret).update(json).digest("hex");
  const headers: Record<string, string> = {
    "User-Agent": "Go-http-client/1.1",
    "Content-Type":
      hook.contentType === "form" ? "application/x-www-form-urlencoded" : "application/json",
    "Accept-Encoding": "gzip",
  };
  if (hook.authorizationHeader !== "") headers["Authorization"] = hook.authorizationHeader;
  for (const family of ["Forgejo", "Gitea", "Gogs"]) {
    headers[`X-${family}-Delivery`] = id;
    headers[`X-${family}-Event`] = event;
    headers[`X-${family}-Event-Type`] = eventType;
    headers[`X-${family}-Signature`] = mac("sha256");
  }
  headers["X-Hub-Signature"] = `sha1=${mac("sha1")}`;
  headers["X-Hub-Signature-256"] = `sha256=${mac("sha256")}`;
  headers["X-GitHub-Delivery"] = id;
  headers["X-GitHub-Event"] = event;
  headers["X-GitHub-Event-Type"] = eventType;
  return headers;
}

async function post(
  delivery: Delivery,
  { delayMs, signal }: { delayMs: number; signal: AbortSignal },
): Promise<void> {
  if (delayMs > 0) await Bun.sleep(delayMs);
  const limit = AbortSignal.any([signal, AbortSignal.timeout(DELIVER_TIMEOUT_MS)]);
  try {
    const response = await fetch(delivery.url, {
      method: "POST",
      headers: delivery.headers,
      body: delivery.body,
      signal: limit,
    });
    await response.arrayBuffer();
    delivery.status = response.status;
  } catch (error) {
    delivery.error = String(error);
  }
}
