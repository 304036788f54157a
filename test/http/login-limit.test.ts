import { expect, test } from "bun:test";
import { type AdminWorld, adminWorld, START, TOKEN } from "../support/admin-world.ts";

const LOGIN = { "content-type": "application/x-www-form-urlencoded", authorization: null };

const login = async (world: AdminWorld, token: string) =>
  await world.call("/login", { headers: LOGIN, body: `token=${token}` });

test("after ten wrong tokens within a minute none is looked at, the right one neither", async () => {
  let now = START;
  await using world = await adminWorld({ now: () => now });
  for (let guess = 0; guess < 10; guess += 1) {
    expect((await login(world, `wrong-${guess}`)).status).toBe(401);
    now += 1000;
  }

  const refused = await login(world, "wrong-10");
  const right = await login(world, TOKEN);

  expect([refused.status, refused.headers.get("retry-after")]).toEqual([429, "50"]);
  expect([right.status, right.headers.get("set-cookie")]).toEqual([429, null]);
  expect(refused.json).toEqual({ error: "Too many wrong tokens. Try again in 50 seconds." });
  now += 49_999;
  expect((await login(world, TOKEN)).status).toBe(429);
  now += 1;
  expect((await login(world, TOKEN)).status).toBe(303);
});

test("a thousand guesses in a minute are ten", async () => {
  await using world = await adminWorld();

  const answers = await Promise.all(
    Array.from({ length: 1000 }, async (_, guess) => (await login(world, `wrong-${guess}`)).status),
  );

  expect(answers.filter((status) => status === 401)).toHaveLength(10);
  expect(answers.filter((status) => status === 429)).toHaveLength(990);
});

test("the command line is not locked out by somebody who guesses at the login", async () => {
  await using world = await adminWorld();
  for (let guess = 0; guess < 20; guess += 1) await login(world, "wrong");

  expect((await world.call("/api/v1/status")).status).toBe(200);
});

test("right tokens are not counted, and every login is in the audit", async () => {
  await using world = await adminWorld();
  for (let time = 0; time < 20; time += 1) expect((await login(world, TOKEN)).status).toBe(303);
  await login(world, "wrong");

  expect(world.audited.map(({ kind }) => kind)).toEqual([
    ...Array(20).fill("login"),
    "login_refused",
  ]);
  expect(JSON.stringify(world.audited)).not.toContain("wrong");
});

test("what an operator called that may change something is in the audit, a look is not", async () => {
  await using world = await adminWorld();

  await world.call("/api/v1/status");
  await world.call("/api/v1/pause", { body: {} });
  await world.call("/api/v1/pause", { body: { nonsense: 1 } });
  await world.call("/api/v1/pause", { body: {}, headers: { authorization: "Bearer wrong" } });

  expect(world.audited).toEqual([
    {
      kind: "operator",
      fields: { method: "POST", path: "/api/v1/pause", status: 200, by: "token" },
    },
    {
      kind: "operator",
      fields: { method: "POST", path: "/api/v1/pause", status: 400, by: "token" },
    },
  ]);
});
