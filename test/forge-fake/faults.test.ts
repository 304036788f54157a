import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type EmbeddedForge, startForge } from "../../demo/forge/start-forge.ts";
import { type Answer, at, callForge, list } from "../contract/forge-client.ts";
import { type HookListener, openHookListener } from "../contract/hook-listener.ts";

let dir = "";
let forge: EmbeddedForge;
let token = "";
let listener: HookListener;
const REPO = "/repos/alice/widgets";

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "forge-fake-"));
  forge = await startForge({ dir });
  token = forge.createUser("alice").token;
  listener = openHookListener();
  await call("POST", "/user/repos", { name: "widgets", auto_init: true });
  const config = { url: listener.url, content_type: "json", secret: "12345678" };
  await call("POST", `${REPO}/hooks`, {
    type: "forgejo",
    config,
    active: true,
    events: ["issues"],
  });
});

beforeEach(async () => {
  await forge.idle();
  forge.faults.clear();
  listener.events.length = 0;
});

afterAll(async () => {
  await forge.stop();
  await listener.stop();
  await rm(dir, { recursive: true, force: true });
});

test("a route answers the next calls with the status it is told to and then as before", async () => {
  forge.faults.answerNext({
    method: "GET",
    path: /\/labels$/,
    status: 503,
    times: 2,
    message: "away",
  });

  const statuses = [];
  for (let turn = 0; turn < 3; turn += 1)
    statuses.push((await call("GET", `${REPO}/labels`)).status);

  expect(statuses).toEqual([503, 503, 200]);
});

test("a fault after the effect loses the answer but not the effect", async () => {
  forge.faults.answerNext({ path: /\/issues$/, method: "POST", status: 502, afterEffect: true });

  const answer = await call("POST", `${REPO}/issues`, { title: "kept" });
  const issues = list((await call("GET", `${REPO}/issues`)).body);

  expect(answer.status).toBe(502);
  expect(issues.map((issue) => at(issue, "title"))).toContain("kept");
});

test("a fault can carry headers, such as Retry-After", async () => {
  forge.faults.answerNext({ path: /version/, status: 429, headers: { "Retry-After": "7" } });

  const answer = await call("GET", "/version");

  expect([answer.status, answer.headers.get("Retry-After")]).toEqual([429, "7"]);
});

test("a dropped webhook never arrives and stands in the record without a status", async () => {
  forge.faults.dropWebhooks(1);

  await call("POST", `${REPO}/issues`, { title: "silent" });
  await forge.idle();

  expect(listener.events).toHaveLength(0);
  expect(forge.deliveries.at(-1)).toMatchObject({ eventType: "issues", status: undefined });
});

test("a duplicated webhook arrives twice with the same id and bytes", async () => {
  forge.faults.duplicateWebhooks(1, "issues");

  await call("POST", `${REPO}/issues`, { title: "twice" });
  await forge.idle();

  expect(listener.events).toHaveLength(2);
  const [first, second] = listener.events;
  expect(second?.headers["x-forgejo-delivery"]).toBe(first?.headers["x-forgejo-delivery"]);
  expect(second?.raw.equals(first?.raw ?? Buffer.alloc(0))).toBe(true);
});

test("the record of deliveries has headers, body and the status of the answer", async () => {
  await call("POST", `${REPO}/issues`, { title: "noted" });
  await forge.idle();

  const delivery = forge.deliveries.at(-1);
  expect(delivery).toMatchObject({ eventType: "issues", event: "issues", status: 202 });
  expect(delivery?.headers["X-Forgejo-Delivery"]).toBe(delivery?.id ?? "");
  expect(delivery?.body).toBe(listener.events[0]?.raw.toString("utf8") ?? "");
});

test("work in the background leaves no errors", () => {
  expect(forge.errors).toEqual([]);
});

function call(method: string, path: string, body?: unknown): Promise<Answer> {
  const request = { method, path, ...(body === undefined ? {} : { body }) };
  return callForge(forge.url, { kind: "token", token }, request);
}
