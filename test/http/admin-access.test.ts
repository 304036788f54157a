import { describe, expect, test } from "bun:test";
import { adminWorld, type CallWish, START, TOKEN } from "../support/admin-world.ts";
import { rawExchange } from "../support/raw-exchange.ts";

const RESET = { agent: "boss", repo: "acme/widgets", issue: 42 };
const LOGIN = { "content-type": "application/x-www-form-urlencoded", authorization: null };

/** Every route behind the login. */
const BEHIND: readonly (readonly [string, string])[] = [
  ["GET", "/"],
  ["GET", "/readyz"],
  ["GET", "/metrics"],
  ["POST", "/reset"],
  ["GET", "/api/v1/status"],
  ["GET", "/api/v1/deliveries"],
  ["GET", "/api/v1/items"],
  ["GET", "/api/v1/items/acme/widgets/42"],
  ["GET", "/api/v1/runs"],
  ["GET", "/api/v1/runs/x"],
  ["GET", "/api/v1/sessions"],
  ["POST", "/api/v1/pause"],
  ["POST", "/api/v1/resume"],
  ["GET", "/unknown"],
  ["PUT", "/login"],
  ["DELETE", "/healthz"],
];

describe("without the token", () => {
  test.each(BEHIND)("%s %s is 401", async (method, path) => {
    await using world = await adminWorld();

    const answer = await world.call(path, { method, headers: { authorization: null } });

    expect(answer.status).toBe(401);
    expect(answer.json).toEqual({ error: "needs Authorization: Bearer with the admin token" });
    expect(world.changed).toEqual([]);
  });

  test.each<readonly [string, string]>([
    ["no scheme", TOKEN],
    ["Basic", `Basic ${btoa(`admin:${TOKEN}`)}`],
    ["a part of it", `Bearer ${TOKEN.slice(1)}`],
    ["more than it", `Bearer ${TOKEN}0`],
    ["it in capitals", `Bearer ${TOKEN.toUpperCase()}`],
    ["nothing", "Bearer "],
    ["two of them", `Bearer ${TOKEN}, Bearer ${TOKEN}`],
    ["a wrong one of 8 KB", `Bearer ${"a".repeat(8000)}`],
  ])("a bearer with %s is 401", async (_name, authorization) => {
    await using world = await adminWorld();

    expect((await world.call("/api/v1/status", { headers: { authorization } })).status).toBe(401);
  });

  test("in a query or in a cookie of its own it is 401", async () => {
    await using world = await adminWorld();
    const headers = { authorization: null, cookie: `claude_hooks=${TOKEN}` };

    expect((await world.call(`/api/v1/status?token=${TOKEN}`, { headers })).status).toBe(401);
  });

  test("nobody is let in while the token is empty", async () => {
    await using world = await adminWorld({ token: () => "" });

    for (const authorization of ["Bearer ", "Bearer  ", "Bearer x"]) {
      expect((await world.call("/readyz", { headers: { authorization } })).status).toBe(401);
    }
    const login = await world.call("/login", { headers: LOGIN, body: "token=" });
    expect(login.status).toBe(401);
  });

  test("a browser is sent to the login, and only from the page", async () => {
    await using world = await adminWorld();
    const headers = { authorization: null, accept: "text/html,*/*" };

    const page = await world.call("/", { headers });

    expect([page.status, page.headers.get("location")]).toEqual([303, "/login"]);
    expect((await world.call("/api/v1/status", { headers })).status).toBe(401);
  });

  test("the health check answers", async () => {
    await using world = await adminWorld();

    const answer = await world.call("/healthz", { headers: { authorization: null } });

    expect([answer.status, answer.json]).toEqual([200, { status: "alive" }]);
  });
});

/** What a page of somebody else can make a browser send, and what only looks like it. */
const ORIGINS: readonly (readonly [string, Readonly<Record<string, string>>, number])[] = [
  ["a rebound name", { host: "evil.example:8081" }, 403],
  ["a name that ends like ours", { host: "evil-localhost" }, 403],
  ["a name that begins like ours", { host: "localhost.evil.example" }, 403],
  ["a loopback name with a dot", { host: "localhost." }, 403],
  ["another loopback address", { host: "127.0.0.2" }, 403],
  ["a number as address", { host: "2130706433" }, 403],
  ["localhost", { host: "localhost:9999" }, 200],
  ["localhost in capitals", { host: "LocalHost" }, 200],
  ["the IPv6 loopback", { host: "[::1]:8081" }, 200],
  ["a configured name", { host: "hooks.example.org" }, 200],
  ["a configured name at any port", { host: "hooks.example.org:8443" }, 200],
  ["a name configured with a port", { host: "proxy.example.org:8443" }, 200],
  ["a name configured with another port", { host: "proxy.example.org:9443" }, 403],
  ["a foreign origin", { origin: "https://evil.example" }, 403],
  ["the origin null", { origin: "null" }, 403],
  ["an origin that is no URL", { origin: "x" }, 403],
  ["the forge on the same machine", { origin: "http://127.0.0.1:3000" }, 403],
  ["an origin with our name as user", { origin: "http://localhost@evil.example" }, 403],
  ["a file", { origin: "file://" }, 403],
  ["our own origin", { host: "localhost:8081", origin: "http://localhost:8081" }, 200],
  [
    "our origin behind TLS",
    { host: "hooks.example.org", origin: "https://hooks.example.org" },
    200,
  ],
  ["a foreign site", { "sec-fetch-site": "cross-site" }, 403],
  ["the same site, another port", { "sec-fetch-site": "same-site" }, 403],
  [
    "a foreign site that loads an image",
    { "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors" },
    403,
  ],
  ["the same origin", { "sec-fetch-site": "same-origin" }, 200],
  ["an address that was typed", { "sec-fetch-site": "none" }, 200],
  ["a link from elsewhere", { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" }, 200],
];

describe("from", () => {
  test.each(ORIGINS)("%s", async (_name, headers, status) => {
    await using world = await adminWorld();

    expect((await world.call("/api/v1/status", { headers })).status).toBe(status);

    const changed = await world.call("/reset", { headers, body: RESET });
    const isLink = headers["sec-fetch-mode"] === "navigate";
    expect(changed.status).toBe(isLink ? 403 : status);
    expect(world.changed).toHaveLength(changed.status === 200 ? 1 : 0);
  });

  test("two Host headers nothing is answered but 400", async () => {
    await using world = await adminWorld();

    const answer = await rawExchange({
      port: world.listener.port,
      pieces: ["GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n"],
    });

    expect(answer.status).toBe(400);
  });
});

const BAD_RESETS: readonly (readonly [string, CallWish, string])[] = [
  ["text/plain", { body: RESET, headers: { "content-type": "text/plain" } }, "Content-Type"],
  [
    "a form",
    { body: "agent=boss", headers: { "content-type": "application/x-www-form-urlencoded" } },
    "Content-Type",
  ],
  ["no content type", { body: RESET, headers: { "content-type": null } }, "Content-Type"],
  ["gzip", { body: RESET, headers: { "content-encoding": "gzip" } }, "Content-Type"],
  ["no JSON", { body: "{" }, "not valid JSON"],
  ["no body", { method: "POST" }, "agent"],
  ["a list", { body: [RESET] }, "body"],
  ["no agent", { body: { ...RESET, agent: undefined } }, "agent"],
  ["a login as agent", { body: { ...RESET, agent: "Boss" } }, "agent"],
  ["a path as agent", { body: { ...RESET, agent: "../boss" } }, "agent"],
  ["a long agent", { body: { ...RESET, agent: "a".repeat(33) } }, "agent"],
  ["a repository without owner", { body: { ...RESET, repo: "widgets" } }, "repo"],
  ["a repository that climbs", { body: { ...RESET, repo: "../../etc" } }, "repo"],
  ["an issue as text", { body: { ...RESET, issue: "42" } }, "issue"],
  ["issue zero", { body: { ...RESET, issue: 0 } }, "issue"],
  ["an issue above 2^31-1", { body: { ...RESET, issue: 2 ** 31 } }, "issue"],
  ["an unknown key", { body: { ...RESET, force: true } }, "force"],
  ["an unknown key of 60 KB", { body: { ...RESET, ["k".repeat(60_000)]: 1 } }, "body"],
  ["more than 64 KiB", { body: { ...RESET, agent: "a".repeat(65_536) } }, "larger"],
];

describe("POST /reset", () => {
  test.each(BAD_RESETS)("with %s is 400 and changes nothing", async (_name, wish, says) => {
    await using world = await adminWorld();

    const answer = await world.call("/reset", wish);

    expect(answer.status).toBe(400);
    expect(Object.keys(answer.json ?? {})).toEqual(["error"]);
    expect(answer.text).toContain(says);
    expect(answer.text.length).toBeLessThan(4096);
    expect(world.changed).toEqual([]);
  });

  test.each<readonly [string, number, unknown]>([
    ["boss", 200, { session: true }],
    ["reviewer", 200, { session: false }],
    ["busy", 409, { error: "a run of this session is alive; cancel it first" }],
  ])("of %s is answered %d", async (agent, status, body) => {
    await using world = await adminWorld();

    const answer = await world.call("/reset", { body: { ...RESET, agent, repo: "Acme/Widgets" } });

    expect([answer.status, answer.json]).toEqual([status, body]);
    expect(world.changed).toEqual([`reset ${agent} acme/widgets 42`]);
  });

  test("takes the number of a pull request for its work item", async () => {
    await using world = await adminWorld();
    await world.store.pulls.write("acme/widgets", 43, 42);

    await world.call("/reset", { body: { ...RESET, issue: 43 } });

    expect(world.changed).toEqual(["reset boss acme/widgets 42"]);
  });

  test.each(["GET", "PUT", "DELETE", "HEAD"])("is not reached by %s", async (method) => {
    await using world = await adminWorld();

    expect((await world.call("/reset", { method })).status).toBe(404);
    expect(world.changed).toEqual([]);
  });
});

describe("the login", () => {
  test("gives a cookie that opens the page", async () => {
    await using world = await adminWorld();
    expect((await world.call("/login", { headers: { authorization: null } })).text).toContain(
      'name="token"',
    );

    const login = await world.call("/login", { headers: LOGIN, body: `token=${TOKEN}%0A` });
    const cookie = login.headers.get("set-cookie") ?? "";

    expect([login.status, login.headers.get("location")]).toEqual([303, "/"]);
    expect(cookie).toMatch(
      /^claude_hooks=[0-9.a-f]+; Max-Age=43200; Path=\/; HttpOnly; SameSite=Strict$/,
    );
    expect(cookie).not.toContain(TOKEN);
    const headers = { authorization: null, cookie: cookie.split(";")[0] ?? "" };
    expect((await world.call("/", { headers })).status).toBe(200);
    expect((await world.call("/api/v1/status", { headers })).status).toBe(200);
  });

  test("changes something by cookie only from our own origin", async () => {
    await using world = await adminWorld();
    const login = await world.call("/login", { headers: LOGIN, body: `token=${TOKEN}` });
    const cookie = login.headers.get("set-cookie")?.split(";")[0] ?? "";
    const headers = { authorization: null, cookie };

    expect((await world.call("/reset", { headers, body: RESET })).status).toBe(403);
    const origin = world.listener.url;
    const same = await world.call("/reset", { headers: { ...headers, origin }, body: RESET });
    expect(same.status).toBe(200);
    expect(world.changed).toHaveLength(1);
  });

  test.each<readonly [string, string]>([
    ["a wrong token", "token=wrong"],
    ["no token", "x=1"],
    ["two tokens, the wrong one first", `token=x&token=${TOKEN}`],
  ])("refuses %s", async (_name, body) => {
    await using world = await adminWorld();

    const answer = await world.call("/login", { headers: LOGIN, body });

    expect(answer.status).toBe(401);
    expect(answer.headers.get("set-cookie")).toBeNull();
  });

  test("tells a browser in the page what was wrong", async () => {
    await using world = await adminWorld();

    const headers = { ...LOGIN, accept: "text/html" };
    const answer = await world.call("/login", { headers, body: "token=wrong" });

    expect(answer.status).toBe(401);
    expect(answer.text).toContain("That is not the admin token.");
  });

  test.each<readonly [string, (cookie: string) => string]>([
    ["an ended", (cookie) => cookie.replace(/\d+/, String(START - 1))],
    ["a prolonged", (cookie) => cookie.replace(/\d+/, String(START + 10 ** 12))],
    ["an unsigned", (cookie) => cookie.replace(/\.[0-9a-f]+/, "")],
    ["a forged", (cookie) => cookie.replace(/\.[0-9a-f]+/, `.${"0".repeat(64)}`)],
  ])("does not take %s cookie", async (_name, change) => {
    await using world = await adminWorld();
    const login = await world.call("/login", { headers: LOGIN, body: `token=${TOKEN}` });
    const cookie = change(login.headers.get("set-cookie")?.split(";")[0] ?? "");

    const answer = await world.call("/readyz", { headers: { authorization: null, cookie } });

    expect(answer.status).toBe(401);
  });

  test("ends after twelve hours, and with the token", async () => {
    let [now, token] = [START, TOKEN];
    await using world = await adminWorld({ now: () => now, token: () => token });
    const login = await world.call("/login", { headers: LOGIN, body: `token=${TOKEN}` });
    const cookie = login.headers.get("set-cookie")?.split(";")[0] ?? "";
    const status = async () =>
      (await world.call("/readyz", { headers: { authorization: null, cookie } })).status;

    expect(await status()).toBe(200);
    token = "another";
    expect(await status()).toBe(401);
    token = TOKEN;
    now = START + 12 * 3_600_000;
    expect(await status()).toBe(401);
  });
});
