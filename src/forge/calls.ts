import PQueue from "p-queue";
import pRetry from "p-retry";
import type { z } from "zod";
import { parseJson } from "../json/parse.ts";
import { ForgeFailure } from "../ports/forge.ts";
import type { Log } from "../ports/observe.ts";
import {
  callName,
  type ExchangeOptions,
  exchange,
  type ForgeAnswer,
  type Request,
  refusalOf,
} from "./exchange.ts";
import { rowsOf } from "./schema.ts";

/** Who goes first when the rate limit makes calls wait. */
export const PRIORITY = { write: 2, read: 1, sweep: 0 } as const;

/** Calls in the name of one account, with one priority. */
export interface Caller {
  /** Reads one thing. @throws ForgeFailure */
  get<T extends z.ZodType>(path: string, schema: T, query?: Query): Promise<z.output<T>>;
  /** Reads all pages of a list. @throws ForgeFailure `malformed` when it has more than `pagesMax` (100). */
  list<T extends z.ZodType>(
    path: string,
    row: T,
    query?: Query,
    pagesMax?: number,
  ): Promise<z.output<T>[]>;
  /** Reads one page; `total` is X-Total-Count, null when it is absent. @throws ForgeFailure */
  page<T extends z.ZodType>(path: string, row: T, query: Query): Promise<Page<z.output<T>>>;
  /** Writes once; the answer is handed over whatever its status below 500. @throws ForgeFailure */
  send(order: Write): Promise<ForgeAnswer>;
  /** Writes once and reads the answer. @throws ForgeFailure */
  sendFor<T extends z.ZodType>(order: Write, schema: T): Promise<z.output<T>>;
}

/** The query of a GET, by parameter. */
export type Query = Readonly<Record<string, string>>;
/** A call that changes something; it is never repeated by itself. */
export type Write = Pick<Request, "path" | "body"> & {
  readonly method: Exclude<Request["method"], "GET">;
};

interface Page<T> {
  readonly rows: T[];
  readonly total: number | null;
  readonly hasNext: boolean | null;
}

/** Makes callers that share one queue: one rate limit per forge. */
export type Calls = (token: () => string, priority: number) => Caller;

/** Rows asked for at once: what a forge gives at most by default (Forgejo: modules/setting/api.go, MAX_RESPONSE_ITEMS). */
export const PAGE_SIZE = 50;
/** A list that is longer than so many pages is a failure and not a shorter list. */
export const PAGES_MAX = 100;
/** The rate holds over this long, so that one item's reads need not wait for each other. */
const WINDOW_SECONDS = 3;
const RUNNING_MAX = 8;
const WAITING_MAX = 5_000;
const PAUSE_MS_MAX = 10_000;
const RETRIES = 3;

/**
 * `requestsPerSecond` holds on average in any three seconds (sliding window). After a 429 everything waits when the
 * forge names at most 10 s, else calls fail at once with `rate_limited` until then.
 */
export function createCalls(options: {
  readonly exchange: ExchangeOptions;
  readonly requestsPerSecond: number;
  readonly log: Log;
}): Calls {
  const { now, signal } = options.exchange;
  const queue = new PQueue({
    concurrency: RUNNING_MAX,
    interval: WINDOW_SECONDS * 1000,
    intervalCap: options.requestsPerSecond * WINDOW_SECONDS,
    strict: true,
  });
  let closedUntil = 0;
  let pausedUntil = 0;

  const assertOpen = (request: Request): void => {
    if (closedUntil - now() > PAUSE_MS_MAX)
      throw new ForgeFailure("rate_limited", `${callName(request)}: the forge asked to wait`, {
        status: 429,
        retryAt: closedUntil,
      });
  };
  const noteLimit = (failure: ForgeFailure): void => {
    const until = failure.retryAt ?? now();
    if (until <= closedUntil) return;
    closedUntil = until;
    options.log.warn("the forge limits our calls", { until });
    const wait = until - now();
    pausedUntil = wait <= PAUSE_MS_MAX ? until : 0;
    if (pausedUntil === 0) {
      queue.start();
      return;
    }
    queue.pause();
    const timer = setTimeout(() => {
      if (pausedUntil === until) queue.start();
    }, wait);
    timer.unref();
  };
  const once = async (request: Request, priority: number): Promise<ForgeAnswer> => {
    assertOpen(request);
    if (queue.size >= WAITING_MAX)
      throw new ForgeFailure("unavailable", `${callName(request)}: too many calls wait already`);
    return await queue.add(
      async () => {
        assertOpen(request);
        try {
          return await exchange(options.exchange, request);
        } catch (error) {
          if (error instanceof ForgeFailure && error.kind === "rate_limited") noteLimit(error);
          throw error;
        }
      },
      { priority, signal },
    );
  };
  const read = async (request: Request, priority: number): Promise<ForgeAnswer> => {
    const answer = await pRetry(() => once(request, priority), {
      signal,
      retries: RETRIES,
      minTimeout: 200,
      maxTimeout: 2_000,
      randomize: true,
      shouldRetry: ({ error }) => mayRetry(error, now()),
    });
    if (answer.status >= 400) throw refusalOf(request, answer);
    return answer;
  };
  return (token, priority) => callerOf({ once, read, token, priority });
}

function mayRetry(error: Error, now: number): boolean {
  if (!(error instanceof ForgeFailure)) return false;
  if (error.kind === "rate_limited") return (error.retryAt ?? 0) - now <= PAUSE_MS_MAX;
  return error.kind === "unavailable";
}

type Exchanger = (request: Request, priority: number) => Promise<ForgeAnswer>;

function callerOf(by: {
  readonly once: Exchanger;
  readonly read: Exchanger;
  readonly token: () => string;
  readonly priority: number;
}): Caller {
  const { once, read, token, priority } = by;
  const page: Caller["page"] = async (path, row, query) => {
    const request: Request = { method: "GET", path, query, token: token() };
    const answer = await read(request, priority);
    const total = answer.headers.get("x-total-count");
    const link = answer.headers.get("link");
    return {
      rows: parse(rowsOf(row), request, answer),
      total: total !== null && /^\d+$/.test(total) ? Number(total) : null,
      hasNext: link === null ? null : /rel="?next"?/.test(link),
    };
  };
  const send: Caller["send"] = async (order) =>
    await once({ ...order, token: token() }, PRIORITY.write);
  return {
    page,
    send,
    get: async (path, schema, query) => {
      const request: Request = { method: "GET", path, token: token(), ...(query && { query }) };
      return parse(schema, request, await read(request, priority));
    },
    list: async (path, row, query, pagesMax = PAGES_MAX) =>
      await allPages(path, pagesMax, (at) => page(path, row, { ...query, ...at })),
    sendFor: async (order, schema) => {
      const answer = await send(order);
      const request = { ...order, token: "" };
      if (answer.status >= 400) throw refusalOf(request, answer);
      return parse(schema, request, answer);
    },
  };
}

/**
 * All pages of a list. The end is where X-Total-Count rows are read or a page is empty; without
 * that header, where Link names no next page or the page is shorter than asked for. A server may
 * give smaller pages than asked for (`[api] MAX_RESPONSE_ITEMS`), so a short page alone is no end
 * when it says more.
 */
async function allPages<T>(
  path: string,
  pagesMax: number,
  read: (at: Query) => Promise<Page<T>>,
): Promise<T[]> {
  const rows: T[] = [];
  for (let number = 1; number <= pagesMax; number += 1) {
    const page = await read({ page: String(number), limit: String(PAGE_SIZE) });
    rows.push(...page.rows);
    if (page.rows.length === 0) return rows;
    if (page.total !== null) {
      if (rows.length >= page.total) return rows;
    } else if (!(page.hasNext ?? page.rows.length >= PAGE_SIZE)) return rows;
  }
  throw tooLong(path, pagesMax);
}

/** A list that is longer than we read is no answer: it is never cut silently. */
export function tooLong(path: string, pagesMax = PAGES_MAX): ForgeFailure {
  return new ForgeFailure("malformed", `GET ${path}: the list has more than ${pagesMax} pages`);
}

function parse<T extends z.ZodType>(schema: T, request: Request, answer: ForgeAnswer): z.output<T> {
  const name = callName(request);
  const details = { status: answer.status };
  let value: unknown;
  try {
    value = answer.text === "" ? null : parseJson(answer.text);
  } catch (error) {
    const failure = new ForgeFailure("malformed", `${name}: the answer is not JSON`, {
      ...details,
      cause: error,
    });
    throw failure;
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const field =
    issue === undefined || issue.path.length === 0 ? "the answer" : issue.path.join(".");
  throw new ForgeFailure(
    "malformed",
    `${name}: field ${field}: ${issue?.message ?? "bad"}`,
    details,
  );
}
