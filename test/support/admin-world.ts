import { createAdminListener } from "../../src/http/admin-listener.ts";
import type { AdminOptions } from "../../src/http/admin-options.ts";
import type { Listener } from "../../src/http/serve.ts";
import type { PauseScope } from "../../src/ports/store/work.ts";
import type { Store } from "../../src/ports/store.ts";
import { openStore } from "../../src/store/open-store.ts";

export const TOKEN = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
export const START = Date.parse("2026-11-20T10:00:00.000Z");

/** The real admin listener on a free port over the real store in memory. */
export interface AdminWorld extends AsyncDisposable {
  readonly listener: Listener;
  readonly store: Store;
  /** What a call changed, one line per change. */
  readonly changed: string[];
  readonly logged: string[];
  readonly audited: { readonly kind: string; readonly fields: Readonly<Record<string, unknown>> }[];
  /** Calls with the token; `headers` come on top, null takes one away. */
  call(path: string, wish?: CallWish): Promise<Called>;
}

export interface CallWish {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string | null>>;
  /** A value is sent as JSON, text as it is. */
  readonly body?: unknown;
}

interface Called {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly json: unknown;
}

export async function adminWorld(options: Partial<AdminOptions> = {}): Promise<AdminWorld> {
  const store = await openStore({ path: ":memory:", now: () => START });
  const changed: string[] = [];
  const logged: string[] = [];
  const audited: AdminWorld["audited"] = [];
  const write = (message: string, fields?: object) =>
    logged.push(`${message} ${JSON.stringify(fields)}`);
  const change = async (verb: string, scope: PauseScope) => {
    changed.push(`${verb} ${JSON.stringify(scope)}`);
    await store.work.pause(scope, verb === "pause");
  };
  const listener = createAdminListener({
    listen: { host: "127.0.0.1", port: 0 },
    token: () => TOKEN,
    hosts: ["hooks.example.org", "proxy.example.org:8443"],
    store,
    sessions: {
      reset: async (agent, repo, number) => {
        changed.push(`reset ${agent} ${repo} ${number}`);
        return agent === "busy" ? "running" : agent === "boss";
      },
      resetItem: async ({ repo, number }) => {
        changed.push(`reset item ${repo} ${number}`);
        if (number === 99) return "running";
        return number === 42 ? 2 : 0;
      },
      transcript: async ({ sessionId }) => (sessionId === "gone" ? null : `said in ${sessionId}`),
    },
    control: {
      pause: (scope) => change("pause", scope),
      resume: (scope) => change("resume", scope),
      cancel: async (run) => {
        changed.push(`cancel ${run.id}`);
        return run;
      },
      park: async ({ repo, number }) => {
        changed.push(`park ${repo} ${number}`);
        return await store.work.hold(
          { repo, number },
          { kind: "parked", agent: null, since: START, known: null },
        );
      },
      goOn: async ({ repo, number }) => {
        changed.push(`continue ${repo} ${number}`);
        return await store.work.goOn({ repo, number });
      },
      drain: async () => {
        changed.push("drain");
        return 0;
      },
    },
    status: () => ({
      deliveries: { accepted: 4, duplicate: 3, ignored: 2, refused: 1 },
      draining: false,
      pausedByFile: false,
    }),
    readiness: () => ({ ready: true, sweep: "done" }),
    gates: { closed: () => [], holding: () => null },
    metricsText: async () => "claude_hooks_sessions 0\n",
    audit: { append: (kind, fields) => audited.push({ kind, fields }) },
    version: "0.1.0",
    now: () => START,
    log: { debug: write, info: write, warn: write, error: write },
    ...options,
  });
  return {
    listener,
    store,
    changed,
    logged,
    audited,
    call: (path, wish = {}) => call(listener.url, path, wish),
    async [Symbol.asyncDispose]() {
      await listener.stop(true);
      await store.close();
    },
  };
}

async function call(url: string, path: string, wish: CallWish): Promise<Called> {
  const headers = {
    authorization: `Bearer ${TOKEN}`,
    ...(wish.body !== undefined && { "content-type": "application/json" }),
    ...wish.headers,
  };
  const response = await fetch(url + path, {
    method: wish.method ?? (wish.body === undefined ? "GET" : "POST"),
    redirect: "manual",
    headers: Object.fromEntries(
      Object.entries(headers).filter((entry): entry is [string, string] => entry[1] !== null),
    ),
    ...(wish.body !== undefined && {
      body: typeof wish.body === "string" ? wish.body : JSON.stringify(wish.body),
    }),
  });
  const text = await response.text();
  const isJson = response.headers.get("content-type")?.startsWith("application/json") === true;
  return {
    status: response.status,
    headers: response.headers,
    text,
    json: isJson && text !== "" ? JSON.parse(text) : null,
  };
}
