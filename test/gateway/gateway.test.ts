import { afterEach, describe, expect, test } from "bun:test";
import { existsSync, statSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { type RecordedRequest, type Step, startModelEndpoint } from "../../demo/model/endpoint.ts";
import { createGateway, type GatewayOptions } from "../../src/gateway/create-gateway.ts";
import { SocketPathTooLong } from "../../src/gateway/socket-path.ts";
import type { GatewayDoor } from "../../src/ports/gateway.ts";

const KEY = "sk-real-key-of-the-installation";
const MODEL = "claude-opus-5-5";
const NOW = 1_000_000;
const closing: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

interface World {
  readonly door: GatewayDoor;
  readonly requests: readonly RecordedRequest[];
  ask(wish?: Wish): Promise<Response>;
}
interface Wish {
  readonly body?: object | string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly path?: string;
  readonly method?: string;
  readonly signal?: AbortSignal;
}

async function world(
  respond: (request: RecordedRequest) => Step | Promise<Step> = () => ({ text: "hello" }),
  options: Partial<GatewayOptions> & { readonly usdLimit?: number } = {},
): Promise<World> {
  const dir = await mkdtemp("/tmp/ch-gw-");
  const endpoint = startModelEndpoint({ respond });
  const gateway = createGateway({
    dir: join(dir, "gw"),
    upstream: `${endpoint.url}/`,
    credential: { kind: "api_key", value: KEY },
    now: () => NOW,
    newCredential: () => crypto.randomUUID(),
    loopback: false,
    ...options,
  });
  closing.push(() => rm(dir, { recursive: true }), endpoint.stop, gateway.stop);
  const door = await gateway.open({ runId: "r1", usdLimit: options.usdLimit ?? 5 });
  return { door, requests: endpoint.requests, ask: (wish) => ask(door, wish) };
}

function ask(door: GatewayDoor, wish: Wish = {}): Promise<Response> {
  const body = wish.body ?? message();
  const method = wish.method ?? "POST";
  return fetch(`http://gateway${wish.path ?? "/v1/messages?beta=true"}`, {
    unix: door.socket,
    method,
    headers: { "x-api-key": door.credential, ...wish.headers },
    ...(method === "POST" ? { body: typeof body === "string" ? body : JSON.stringify(body) } : {}),
    ...(wish.signal === undefined ? {} : { signal: wish.signal }),
  });
}

const message = (more: object = {}) => ({
  model: MODEL,
  stream: true,
  max_tokens: 100,
  messages: [{ role: "user", content: "hi" }],
  ...more,
});
const errorOf = async (response: Response) => ({
  status: response.status,
  ...((await response.json()) as { error: { type: string; message: string } }).error,
});

describe("a door", () => {
  test("is a private socket with a short path, gone after close", async () => {
    const { door } = await world();

    expect(statSync(door.socket).mode & 0o777).toBe(0o600);
    expect(statSync(join(door.socket, "..")).mode & 0o777).toBe(0o700);
    expect(door.socket.length).toBeLessThan(100);
    expect(door.url).toBeNull();
    await door.close();
    expect(existsSync(door.socket)).toBe(false);
    await expect(ask(door)).rejects.toThrow();
  });

  test("is not opened where its path would be too long", async () => {
    const opened = world(undefined, { dir: `/tmp/${"x".repeat(100)}` });

    await expect(opened).rejects.toThrow(SocketPathTooLong);
  });

  test("answers on loopback where there is no sandbox", async () => {
    const { door } = await world(undefined, { loopback: true });

    const response = await fetch(`${door.url}/v1/messages`, {
      method: "POST",
      headers: { authorization: `Bearer ${door.credential}` },
      body: JSON.stringify(message()),
    });

    expect(response.status).toBe(200);
    expect(await response.text()).toContain("hello");
  });
});

describe("a request", () => {
  test("reaches the model with the key and without the dummy, otherwise as it is", async () => {
    const { door, requests, ask } = await world();
    const headers = {
      "anthropic-beta": "a,b",
      "anthropic-version": "2023-06-01",
      cookie: "c=1",
      connection: "close, x-secret",
      "x-secret": "1",
    };

    await (await ask({ headers })).text();

    const [sent] = requests;
    expect(sent?.path).toBe("/v1/messages?beta=true");
    expect(sent?.raw).toBe(JSON.stringify(message()));
    expect(sent?.headers).toMatchObject({
      "x-api-key": KEY,
      "anthropic-beta": "a,b",
      "anthropic-version": "2023-06-01",
    });
    expect(Object.keys(sent?.headers ?? {})).not.toContain("cookie");
    expect(Object.keys(sent?.headers ?? {})).not.toContain("x-secret");
    expect(JSON.stringify(sent)).not.toContain(door.credential);
  });

  test("of a subscription carries its token and what the API asks with it", async () => {
    const { requests, ask } = await world(undefined, {
      credential: { kind: "oauth_token", value: KEY },
    });

    await (await ask({ headers: { "anthropic-beta": "a" } })).text();

    expect(requests[0]?.headers).toMatchObject({
      authorization: `Bearer ${KEY}`,
      "anthropic-beta": "a,oauth-2025-04-20",
    });
    expect(requests[0]?.headers["x-api-key"]).toBeUndefined();
  });

  test("comes back byte for byte", async () => {
    const bytes = 'event: message_start\r\ndata: {"x": "äöü €"}\r\n\r\nevent: ping\ndata: {}\n\n';
    using upstream = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: () =>
        new Response(bytes, {
          headers: {
            "content-type": "text/event-stream",
            "request-id": "req_1",
            "set-cookie": "a=b",
          },
        }),
    });
    const { ask } = await world(undefined, { upstream: `http://127.0.0.1:${upstream.port}` });

    const response = await ask();

    expect(await response.text()).toBe(bytes);
    expect(response.headers.get("request-id")).toBe("req_1");
    expect(response.headers.get("set-cookie")).toBeNull();
  });

  test.each([
    ["another run's credential", { headers: { "x-api-key": "sk-other" } }, 401],
    ["the real key", { headers: { "x-api-key": KEY } }, 401],
    ["no credential", { headers: { "x-api-key": "" } }, 401],
    ["another path", { path: "/v1/files" }, 404],
    ["a path behind an allowed one", { path: "/v1/messages/batches" }, 404],
    ["dot segments", { path: "/v1/messages/../files" }, 404],
    ["another method", { method: "GET" }, 404],
    ["no JSON", { body: "{" }, 403],
    ["remote MCP servers", { body: message({ mcp_servers: [{ url: "http://evil" }] }) }, 403],
    [
      "web search at the server",
      { body: message({ tools: [{ type: "web_search_20250305", name: "w" }] }) },
      403,
    ],
    [
      "web fetch at the server",
      { body: message({ tools: [{ type: "web_fetch_20250910", name: "w" }] }) },
      403,
    ],
    [
      "code execution at the server",
      { body: message({ tools: [{ type: "code_execution_20250825", name: "c" }] }) },
      403,
    ],
  ] as const)("with %s is refused and reaches nobody", async (_what, wish, status) => {
    const { requests, ask } = await world();

    const response = await ask(wish);

    expect(response.status).toBe(status);
    expect(await response.text()).toContain('"type":"error"');
    expect(requests).toEqual([]);
  });

  test("over the size limit is refused", async () => {
    const { requests, ask } = await world(undefined, { bodyBytesMax: 1_000 });

    const response = await ask({ body: message({ system: "x".repeat(2_000) }) });

    expect(response.status).toBe(413);
    expect(requests).toEqual([]);
  });

  test("is not sent after a redirect", async () => {
    let visits = 0;
    using elsewhere = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: () => new Response(String(++visits)),
    });
    const { ask } = await world(() => ({
      status: 307,
      headers: { location: `http://127.0.0.1:${elsewhere.port}/` },
    }));

    expect(await errorOf(await ask())).toMatchObject({ status: 502, type: "api_error" });
    expect(visits).toBe(0);
  });

  test("to a server that is not there, or is silent, fails in the API's own shape", async () => {
    const gone = await world(undefined, { upstream: "http://127.0.0.1:1" });
    const silent = await world(() => ({ hang: true }), { silenceMsMax: 100 });

    expect(await errorOf(await gone.ask())).toMatchObject({
      status: 502,
      message: expect.stringContaining("cannot be reached"),
    });
    expect(await errorOf(await silent.ask())).toMatchObject({ status: 504, type: "timeout_error" });
  });

  test("that the agent gives up is given up at the server, too", async () => {
    const { promise: left, resolve } = Promise.withResolvers<string>();
    using upstream = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch(request) {
        request.signal.addEventListener("abort", () => resolve("gone"));
        return new Promise<Response>(() => undefined);
      },
    });
    const { ask } = await world(undefined, { upstream: `http://127.0.0.1:${upstream.port}` });
    const controller = new AbortController();

    const asked = ask({ signal: controller.signal });
    setTimeout(() => controller.abort(), 50);

    await expect(asked).rejects.toThrow();
    expect(await left).toBe("gone");
  });
});

describe("the meter", () => {
  test.each([true, false])("equals what the model said (streamed: %p)", async (stream) => {
    const { door, requests, ask } = await world();

    await (await ask({ body: message({ stream }) })).text();
    await (await ask({ body: message({ stream }) })).text();

    const said = requests.map(({ usage }) => usage);
    const sum = (name: "input_tokens" | "output_tokens" | "cache_creation_input_tokens") =>
      said.reduce((total, usage) => total + (usage?.[name] ?? 0), 0);
    const tokens = {
      input: sum("input_tokens"),
      output: sum("output_tokens"),
      cacheRead: 0,
      cacheWrite: sum("cache_creation_input_tokens"),
    };
    expect(door.meter()).toMatchObject({ tokens, requests: 2, retryAt: null });
    expect(door.meter().usd).toBeCloseTo(
      (tokens.input * 4 + tokens.output * 20 + tokens.cacheWrite * 5) / 1e6,
      12,
    );
  });

  test("counts nothing for a failed request, and remembers when to come back", async () => {
    const { door, ask } = await world(() => ({
      status: 429,
      headers: { "retry-after": "20" },
      body: {},
    }));

    await (await ask()).text();

    expect(door.meter()).toMatchObject({ usd: 0, requests: 1, retryAt: NOW + 20_000 });
  });

  test.each([
    [{ "retry-after": "Wed, 21 Oct 2026 07:28:00 GMT" }, Date.UTC(2026, 9, 21, 7, 28)],
    [{ "anthropic-ratelimit-unified-reset": "1790000000" }, 1_790_000_000_000],
    [{ "retry-after": "soon" }, null],
  ])("reads %j", async (headers, retryAt) => {
    const { door, ask } = await world(() => ({ status: 429, headers, body: {} }));

    await (await ask()).text();

    expect(door.meter().retryAt).toBe(retryAt);
  });

  test("remembers how the newest request failed, until one is answered", async () => {
    const steps: Step[] = [
      { status: 401, body: {} },
      { status: 529, body: {} },
      { text: "half of it ".repeat(300), destroy: true },
      { text: "whole" },
    ];
    const { door, ask } = await world(() => steps.shift() ?? {});
    expect(door.meter().refusal).toBeNull();
    const seen: unknown[] = [];
    for (let time = 0; time < 4; time += 1) {
      await (await ask()).text().catch(() => "broken off");
      seen.push(door.meter().refusal);
    }
    expect(seen).toEqual([{ status: 401 }, { status: 529 }, { status: null }, null]);
  });

  test("stops a run at its budget with an error the CLI does not repeat", async () => {
    const { requests, ask } = await world(() => ({ text: "x", usage: { output_tokens: 60_000 } }), {
      usdLimit: 1,
    });

    await (await ask()).text();
    const refused = await ask();

    expect(refused.headers.get("x-should-retry")).toBe("false");
    expect(await errorOf(refused)).toEqual({
      status: 402,
      type: "billing_error",
      message: "claude-hooks: the budget of this run is spent (1.20 of 1.00 USD)",
    });
    expect(requests).toHaveLength(1);
  });

  test("takes an operator's own prices", async () => {
    const price = { input: 0, output: 1_000_000, cacheRead: 0, cacheWrite: 0 };
    const { door, ask } = await world(() => ({ text: "x", usage: { output_tokens: 2 } }), {
      usdLimit: 100,
      prices: { "claude-": price },
    });

    await (await ask()).text();

    expect(door.meter().usd).toBe(2);
  });
});
