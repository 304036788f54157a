import { createHmac } from "node:crypto";
import { createPublicListener } from "../../src/http/public-listener.ts";
import type { Listener } from "../../src/http/serve.ts";
import { createIntake, type IntakeOptions } from "../../src/intake/create-intake.ts";
import type { DeliveryRecord } from "../../src/ports/store/deliveries.ts";
import type { Mark } from "../../src/ports/store/marks.ts";
import type { Store } from "../../src/ports/store.ts";
import { openStore } from "../../src/store/open-store.ts";

export const SECRET = "fixture-secret";
const AGENTS = [
  { name: "boss", login: "boss" },
  { name: "reviewer", login: "reviewer" },
  { name: "code-lead", login: "Code-Lead" },
];

/** What a delivery says; everything has a default that is accepted. */
export interface DeliveryWish {
  readonly event?: string | null;
  readonly id?: string | null;
  /** A value is sent as JSON, bytes and text as they are. */
  readonly body?: unknown;
  readonly secret?: string;
  readonly signature?: string | null;
  readonly headers?: Readonly<Record<string, string | null>>;
  readonly method?: string;
  readonly path?: string;
}

interface Answered {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** The real intake behind the real public listener on a free port, with the real store in memory. */
export interface IntakeWorld extends AsyncDisposable {
  readonly listener: Listener;
  readonly store: Store;
  /** What was handed to the store, in order. */
  readonly recorded: { readonly delivery: DeliveryRecord; readonly marks: readonly Mark[] }[];
  readonly counted: string[];
  readonly audited: { readonly kind: string; readonly fields: Readonly<Record<string, unknown>> }[];
  readonly logged: string[];
  deliver(wish?: DeliveryWish): Promise<Answered>;
}

export async function intakeWorld(options: Partial<IntakeOptions> = {}): Promise<IntakeWorld> {
  const store = await openStore({ path: ":memory:", now: Date.now });
  const recorded: { delivery: DeliveryRecord; marks: readonly Mark[] }[] = [];
  const counted: string[] = [];
  const audited: { kind: string; fields: Readonly<Record<string, unknown>> }[] = [];
  const logged: string[] = [];
  const write = (message: string, fields?: object) =>
    logged.push(`${message} ${JSON.stringify(fields)}`);
  const log = { debug: write, info: write, warn: write, error: write };
  const intake = createIntake({
    kind: "forgejo",
    path: "/webhook",
    secrets: () => [Buffer.from(SECRET)],
    bodyBytes: 2_097_152,
    queueLimit: 10_000,
    waiting: () => 0,
    agents: () => AGENTS,
    concerns: (repo) => repo === "acme/widgets",
    deliveries: {
      record: (delivery, marks) => {
        recorded.push({ delivery, marks });
        return store.deliveries.record(delivery, marks);
      },
    },
    now: Date.now,
    metrics: { delivery: (status) => counted.push(status) },
    audit: { append: (kind, fields) => audited.push({ kind, fields }) },
    log,
    ...options,
  });
  const listener = createPublicListener({ listen: { host: "127.0.0.1", port: 0 }, intake, log });
  return {
    listener,
    store,
    recorded,
    counted,
    audited,
    logged,
    deliver: (wish = {}) => deliver(listener.url, wish),
    async [Symbol.asyncDispose]() {
      await listener.stop(true);
      await store.close();
    },
  };
}

/** A payload of the least fields the intake reads. */
export function issuePayload(change: object = {}): Record<string, unknown> {
  return {
    action: "opened",
    issue: { number: 42 },
    repository: { full_name: "acme/widgets" },
    sender: { login: "alice" },
    ...change,
  };
}

export function bytesOf(body: unknown): Buffer {
  if (body instanceof Uint8Array) {
    return Buffer.from(body);
  }
  return Buffer.from(typeof body === "string" ? body : JSON.stringify(body));
}

export function sign(body: Uint8Array, secret = SECRET): string {
  return createHmac("sha256", secret).update(body).digest("hex");
}

/** The headers of a delivery of Forgejo as a record; null takes one away. */
export function deliveryHeaders(wish: DeliveryWish, body: Uint8Array): Record<string, string> {
  const headers: Record<string, string | null> = {
    "content-type": "application/json",
    "x-forgejo-event-type": wish.event === undefined ? "issues" : wish.event,
    "x-forgejo-delivery": wish.id === undefined ? crypto.randomUUID() : wish.id,
    "x-forgejo-signature": wish.signature === undefined ? sign(body, wish.secret) : wish.signature,
    ...wish.headers,
  };
  return Object.fromEntries(
    Object.entries(headers).filter((entry): entry is [string, string] => entry[1] !== null),
  );
}

async function deliver(url: string, wish: DeliveryWish): Promise<Answered> {
  const body = bytesOf(wish.body === undefined ? issuePayload() : wish.body);
  const method = wish.method ?? "POST";
  const response = await fetch(`${url}${wish.path ?? "/webhook"}`, {
    method,
    headers: deliveryHeaders(wish, body),
    redirect: "manual",
    ...(method !== "GET" && method !== "HEAD" && { body }),
  });
  return { status: response.status, headers: response.headers, text: await response.text() };
}
