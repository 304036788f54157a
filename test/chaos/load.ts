import { createHmac } from "node:crypto";
import type { Chance } from "./chance.ts";

const TICK_MS = 25;
const DUPLICATES = 0.2;
const SENT_KEPT = 200;

interface Delivery {
  readonly id: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** What one delivery id was answered with, in all its sendings. */
export interface Answered {
  readonly statuses: number[];
  /** The service that has answered last. */
  by?: string;
}

/** Stands between forge and services: takes every webhook at once and sends them on at a steady rate, each to one of them. */
export interface Load extends AsyncDisposable {
  readonly url: string;
  readonly answers: ReadonlyMap<string, Answered>;
  readonly sent: {
    readonly all: number;
    readonly duplicates: number;
    readonly unanswered: number;
    readonly accepted: number;
    /** Ids that came once more at another service than the last time. */
    readonly elsewhere: number;
  };
  /** Where the service of that name is to be found; null: it is dead, and nobody answers in its place. */
  to(service: string, webhook: string | null): void;
  /** Nothing is sent to that service any more, until it is told where it is. */
  notTo(service: string): void;
  /** No more than what the forge still sends. */
  calm(): void;
  /** Resolves when everything taken has been sent. */
  idle(): Promise<void>;
}

/**
 * 40 deliveries a second, whether they are answered or not: one in five is an earlier one once more
 * under its id; where the forge has nothing new, an old one comes under a new id, signed anew. Like a forge it never repeats one that was not answered.
 */
export function startLoad(chance: Chance, secret: string): Load {
  const taken: Delivery[] = [];
  const past: Delivery[] = [];
  const answers = new Map<string, Answered>();
  const under = new Set<Promise<void>>();
  const sent = { all: 0, duplicates: 0, unanswered: 0, accepted: 0, elsewhere: 0 };
  const services = new Map<string, string | null>();
  let isCalm = false;
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const headers = Object.fromEntries(request.headers);
      const id = headers["x-forgejo-delivery"] ?? headers["x-gitea-delivery"] ?? "";
      taken.push({ id, headers: plain(headers), body: await request.text() });
      return new Response("taken");
    },
  });
  const tick = setInterval(() => {
    const old = past.length > 0 && chance.of(DUPLICATES) ? chance.pick(past) : null;
    // What nobody answered would be new work: not when everything is to come to its end.
    const again = isCalm && old !== null && !isAnswered(old) ? null : old;
    const next = again ?? taken.shift() ?? (isCalm ? null : renewed(past, chance, secret));
    if (next === null) return;
    if (again !== null) sent.duplicates += 1;
    else past.push(next);
    if (past.length > SENT_KEPT) past.shift();
    const going = send(next).finally(() => under.delete(going));
    under.add(going);
  }, TICK_MS);

  const isAnswered = ({ id }: Delivery): boolean => (answers.get(id)?.statuses.length ?? 0) > 0;

  async function send({ id, headers, body }: Delivery): Promise<void> {
    sent.all += 1;
    const known = answers.get(id) ?? { statuses: [] };
    answers.set(id, known);
    const [service = "", target = null] = chance.pick([...services]) ?? [];
    try {
      if (target === null) throw new Error("nobody is there");
      const response = await fetch(target, {
        method: "POST",
        headers: { ...headers, connection: "close" },
        body,
        signal: AbortSignal.timeout(5000),
      });
      await response.arrayBuffer();
      known.statuses.push(response.status);
      if (known.by !== undefined && known.by !== service) sent.elsewhere += 1;
      known.by = service;
      if (response.status === 202) sent.accepted += 1;
    } catch {
      // No answer, or half of one: a forge would call it failed.
      sent.unanswered += 1;
    }
  }

  return {
    url: `http://127.0.0.1:${server.port}/`,
    answers,
    sent,
    to: (service, webhook) => {
      services.set(service, webhook);
    },
    notTo: (service) => {
      services.delete(service);
    },
    calm: () => {
      isCalm = true;
    },
    idle: async () => {
      while (taken.length > 0 || under.size > 0) {
        await Promise.all(under);
        if (taken.length > 0) await Bun.sleep(TICK_MS);
      }
    },
    [Symbol.asyncDispose]: async () => {
      clearInterval(tick);
      await Promise.all(under);
      await server.stop(true);
    },
  };
}

/** The white space at its end makes it another body: it is no twin of the old one. */
function renewed(past: readonly Delivery[], chance: Chance, secret: string): Delivery | null {
  const old = chance.pick(past);
  if (old === null) return null;
  const id = chance.id();
  const body = `${old.body}${chance.of(0.5) ? " " : "\n"}`;
  const mac = createHmac("sha256", secret).update(body).digest("hex");
  const headers = Object.fromEntries(
    Object.entries(old.headers)
      .filter(([name]) => !name.startsWith("x-hub-"))
      .map(([name, value]) => {
        if (name.endsWith("-signature")) return [name, mac];
        return [name, value === old.id ? id : value];
      }),
  );
  return { id, headers, body };
}

function plain(headers: Record<string, string>): Record<string, string> {
  const { host: _, "content-length": __, connection: ___, ...rest } = headers;
  return rest;
}
