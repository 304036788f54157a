import { afterEach, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { createGateway } from "../../src/gateway/create-gateway.ts";
import { GATEWAY_ERRORS, type RunMeter } from "../../src/ports/gateway.ts";

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function worldWith(spent: (used: RunMeter) => Promise<string | null>) {
  const dir = await mkdtemp("/tmp/ch-gws-");
  let served = 0;
  const upstream = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      await request.arrayBuffer();
      served += 1;
      const usage = { input_tokens: 100, output_tokens: 10 };
      return Response.json({ type: "message", model: "claude-opus-5-5", usage });
    },
  });
  const gateway = createGateway({
    dir: join(dir, "gw"),
    upstream: `http://127.0.0.1:${upstream.port}`,
    credential: { kind: "api_key", value: "sk-real" },
    now: Date.now,
    newCredential: () => crypto.randomUUID(),
    loopback: false,
  });
  closing.push(
    () => rm(dir, { recursive: true }),
    () => upstream.stop(true),
    gateway.stop,
  );
  const door = await gateway.open({ runId: "r", usdLimit: 5, spent });
  const ask = async (): Promise<{ status: number; text: string }> => {
    const answer = await fetch("http://gateway/v1/messages", {
      unix: door.socket,
      method: "POST",
      headers: { "x-api-key": door.credential },
      body: JSON.stringify({ model: "claude-opus-5-5", max_tokens: 10, messages: [] }),
    });
    return { status: answer.status, text: await answer.text() };
  };
  return { door, ask, served: () => served };
}

test("a budget of several runs is asked before each request, and ends the run when nothing is left", async () => {
  const heard: number[] = [];
  const world = await worldWith(async ({ tokens }) => {
    heard.push(tokens.input + tokens.output);
    return tokens.input >= 200 ? "tokens_per_day" : null;
  });

  expect((await world.ask()).status).toBe(200);
  expect((await world.ask()).status).toBe(200);
  expect(world.door.meter().outOf ?? null).toBeNull();
  const refused = await world.ask();

  expect(refused.status).toBe(402);
  expect(refused.text).toContain(`${GATEWAY_ERRORS.budgetSpent} (tokens_per_day)`);
  expect(heard).toEqual([0, 110, 220]);
  expect(world.served()).toBe(2);
  expect(world.door.meter()).toMatchObject({ outOf: "tokens_per_day", requests: 2 });
});

test("a request is not passed on when the question has no answer", async () => {
  const world = await worldWith(async () => {
    throw new Error("the database is away");
  });
  const { status, text } = await world.ask();
  expect(status).toBe(500);
  expect(text).not.toContain("database");
  expect(world.served()).toBe(0);
});
