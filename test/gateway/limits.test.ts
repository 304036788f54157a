import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { createGateway, type GatewayOptions } from "../../src/gateway/create-gateway.ts";
import { createLoad } from "../../src/gateway/load.ts";
import type { GatewayDoor } from "../../src/ports/gateway.ts";

setDefaultTimeout(30_000);

const MODEL = "claude-opus-5-5";
const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

interface World {
  readonly doors: readonly GatewayDoor[];
  readonly door: GatewayDoor;
  served(): number;
}

/** A gateway in front of a model's server that answers as it is told to. */
async function world(
  respond: (request: Request) => Response | Promise<Response>,
  options: Partial<GatewayOptions> & { readonly usdLimit?: number; readonly model?: string } = {},
): Promise<World> {
  const { usdLimit = 5, model, ...rest } = options;
  const dir = await mkdtemp("/tmp/ch-gwl-");
  let served = 0;
  const upstream = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: 0,
    async fetch(request) {
      await request.arrayBuffer();
      served += 1;
      return respond(request);
    },
  });
  const gateway = createGateway({
    dir: join(dir, "gw"),
    upstream: `http://127.0.0.1:${upstream.port}`,
    credential: { kind: "api_key", value: "sk-real" },
    now: Date.now,
    newCredential: () => crypto.randomUUID(),
    loopback: false,
    ...rest,
  });
  closing.push(
    () => rm(dir, { recursive: true }),
    () => upstream.stop(true),
    gateway.stop,
  );
  const order = { runId: "r", usdLimit, ...(model === undefined ? {} : { model }) };
  const doors = [await gateway.open(order), await gateway.open(order)];
  const [door] = doors;
  if (door === undefined) throw new Error("no door");
  return { door, doors, served: () => served };
}

const message = (more: object = {}) =>
  JSON.stringify({ model: MODEL, max_tokens: 1_000, messages: [], ...more });
const ask = (door: GatewayDoor, body = message(), signal?: AbortSignal): Promise<Response> =>
  fetch("http://gateway/v1/messages", {
    unix: door.socket,
    method: "POST",
    headers: { "x-api-key": door.credential },
    body,
    ...(signal === undefined ? {} : { signal }),
  });
const statusOf = async (asked: Promise<Response>): Promise<number> => {
  const response = await asked;
  await response.text();
  return response.status;
};
const answered = (usage: object, model = MODEL): Response =>
  Response.json({ type: "message", model, usage });
async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error("waited for 10 s in vain");
    await Bun.sleep(5);
  }
}

describe("the model", () => {
  test("of the run and the small one are served, any other is not", async () => {
    const { door, served } = await world(() => answered({ output_tokens: 1 }), { model: MODEL });
    const asked = async (model: string) => await statusOf(ask(door, message({ model })));

    expect(await asked(MODEL)).toBe(200);
    expect(await asked("claude-haiku-5-5")).toBe(200);
    expect(await asked("claude-fable-5-2")).toBe(404);
    expect(await asked("claude-3-opus-20240229")).toBe(404);
    expect(served()).toBe(2);
  });

  test("without a price is charged like the dearest", async () => {
    const { door } = await world(() => answered({ output_tokens: 1_000 }, "my-own"), {
      model: "my-own",
    });

    await statusOf(ask(door, message({ model: "my-own" })));

    expect(door.meter().usd).toBeCloseTo(0.04, 10);
  });
});

describe("the budget", () => {
  test("holds against requests that are given up one after the other", async () => {
    const { door, served } = await world(() => new Promise(() => undefined), { usdLimit: 1 });
    // 300 kB are a hundred thousand tokens at most: 0.4 USD of input.
    const body = message({ system: "x".repeat(300_000) });

    const statuses: (number | string)[] = [];
    for (let n = 1; n <= 10; n += 1) {
      const controller = new AbortController();
      const asked = statusOf(ask(door, body, controller.signal)).catch(() => "left");
      await Promise.race([until(() => served() === n), asked]);
      controller.abort();
      statuses.push(await asked);
    }
    await until(() => door.meter().usd >= 1);

    expect(statuses.slice(0, 3)).toEqual(["left", "left", "left"]);
    expect(statuses.slice(4)).toEqual([402, 402, 402, 402, 402, 402]);
    expect(served()).toBeLessThanOrEqual(4);
  });

  test("holds against many requests at once", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const respond = async (): Promise<Response> => {
      await promise;
      return answered({ input_tokens: 1, output_tokens: 20_000 });
    };
    const { door, served } = await world(respond, { usdLimit: 1 });
    const body = message({ max_tokens: 20_000 });

    const asked = Array.from({ length: 30 }, () => statusOf(ask(door, body)));
    await until(() => served() === 3);
    resolve();
    const statuses = await Promise.all(asked);

    expect(statuses.filter((status) => status === 200)).toHaveLength(3);
    expect(statuses.filter((status) => status === 429 || status === 402)).toHaveLength(27);
    expect(door.meter().usd).toBeCloseTo(1.2, 4);
  });

  test.each([
    [10_000, 0.2],
    [undefined, 2.56],
  ])(
    "an answer of at most %p tokens without usage stays charged with the most it can have cost",
    async (max_tokens, usd) => {
      const { door } = await world(() => Response.json({ odd: true }));

      await statusOf(ask(door, message({ max_tokens })));

      expect(door.meter().usd).toBeCloseTo(usd, 3);
    },
  );

  test("an answer that is given up half-way is charged with its input and what may be written", async () => {
    const start = `event: message_start\ndata: ${JSON.stringify({ message: { model: MODEL, usage: { input_tokens: 50_000, output_tokens: 1 } } })}\n\n`;
    const { door } = await world(
      () =>
        new Response(
          new ReadableStream({ start: (controller) => controller.enqueue(Buffer.from(start)) }),
          { headers: { "content-type": "text/event-stream" } },
        ),
    );
    const controller = new AbortController();

    const response = await ask(door, message({ max_tokens: 100_000 }), controller.signal);
    await response.body?.getReader().read();
    controller.abort();
    await until(() => door.meter().usd > 0.205);

    // A second counts as begun: 500 tokens of output.
    expect(door.meter().usd).toBeGreaterThanOrEqual(0.21);
    expect(door.meter().usd).toBeLessThan(0.5);
  });

  test.each([400, 429, 500])("nothing is charged for status %d, even unread", async (status) => {
    const { door } = await world(() => Response.json({ type: "error" }, { status }));

    await statusOf(ask(door));
    const controller = new AbortController();
    await ask(door, message(), controller.signal);
    controller.abort();

    expect(door.meter()).toMatchObject({ usd: 0, requests: 2 });
    expect(await statusOf(ask(door))).toBe(status);
  });

  test("counting tokens is free and needs no reservation", async () => {
    const { door } = await world(() => Response.json({ input_tokens: 5 }));

    const response = await fetch("http://gateway/v1/messages/count_tokens?beta=true", {
      unix: door.socket,
      method: "POST",
      headers: { "x-api-key": door.credential },
      body: JSON.stringify({ model: MODEL, messages: [] }),
    });

    expect(response.status).toBe(200);
    expect(door.meter().usd).toBe(0);
  });
});

describe("what a gateway holds", () => {
  test("is at most eight requests of a run, and each ends its place", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const { door, doors, served } = await world(async () => {
      await promise;
      return answered({ output_tokens: 1 });
    });

    const asked = Array.from({ length: 12 }, () => statusOf(ask(door)));
    await until(() => served() === 8);
    const elsewhere = ask(doors[1] ?? door);
    await until(() => served() === 9);
    resolve();
    const statuses = await Promise.all(asked);

    expect(statuses.toSorted()).toEqual([...Array(8).fill(200), ...Array(4).fill(429)]);
    expect((await elsewhere).status).toBe(200);
    expect(await statusOf(ask(door))).toBe(200);
  });

  test("is little, however much a run sends", async () => {
    const { door, served } = await world(() => answered({ output_tokens: 1 }));
    const before = process.memoryUsage.rss();
    let highest = before;
    const watch = setInterval(() => {
      highest = Math.max(highest, process.memoryUsage.rss());
    }, 10);
    // Another process, so that only the gateway's own memory is seen.
    const flood = `perl -e 'print "{\\"messages\\":[],\\"x\\":\\""; print "a"x(30<<20)' > "$D/b"
      for i in $(seq 1 20); do
        curl -s -m 5 -o /dev/null --unix-socket "$S" -H "x-api-key: $K" -H 'Expect:' http://g/v1/messages --data-binary "@$D/b" &
      done; wait`;

    const dir = join(door.socket, "..");
    const child = Bun.spawn(["sh", "-c", flood], {
      env: { PATH: "/usr/bin:/bin", S: door.socket, K: door.credential, D: dir },
    });
    await child.exited;
    clearInterval(watch);

    expect(served()).toBe(0);
    expect(highest - before).toBeLessThan(300 * 1024 * 1024);
    expect(await statusOf(ask(door))).toBe(200);
  });

  test("is not kept waiting by a request that never comes to its end", async () => {
    const { door } = await world(() => answered({ output_tokens: 1 }), { bodyMsMax: 100 });
    const socket = connect(door.socket);
    const said = new Promise<string>((resolve) => socket.once("data", (d) => resolve(String(d))));

    socket.write(
      `POST /v1/messages HTTP/1.1\r\nHost: g\r\nx-api-key: ${door.credential}\r\nContent-Length: 1000\r\n\r\n{"model"`,
    );

    expect(await said).toStartWith("HTTP/1.1 408");
    socket.destroy();
  });

  test("is divided: a run is full before the gateway is", () => {
    const load = createLoad({ requestsPerDoor: 3, bytesPerDoor: 10, bytes: 25 });
    const [one, two, three] = [load.door(), load.door(), load.door()];

    const first = one.enter(10);
    expect(one.enter(1)).toBe("door");
    expect(two.enter(10)).not.toBeString();
    expect(three.enter(10)).toBe("gateway");
    if (typeof first === "string") throw new Error("refused");
    first.sent();
    expect(three.enter(10)).not.toBeString();
    expect(one.enter(5)).not.toBeString();
    expect(one.enter(0)).not.toBeString();
    expect(one.enter(0)).toBe("door");
    first.leave();
    first.leave();
    expect(one.enter(0)).not.toBeString();
    expect(one.enter(0)).toBe("door");
  });
});
