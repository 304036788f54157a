import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { RunOrder } from "../../src/domain/decision.ts";
import type { ItemRef } from "../../src/domain/snapshot.ts";
import { makeSession } from "../../src/http/session-cookie.ts";
import { type AdminWorld, adminWorld, START, TOKEN } from "../support/admin-world.ts";
import { type Browser, startBrowser } from "../support/browser.ts";
import { comment, pullWith, snapshotWith } from "../support/world.ts";

const ITEM: ItemRef = { repo: "acme/widgets", number: 42 };
const SESSION = `claude_hooks=${makeSession(TOKEN, START)}`;
const COOKIE = { name: "claude_hooks", value: makeSession(TOKEN, START) } as const;

/** What strangers write into titles, comments, names and reasons; each asks for the address of its canary. */
const PAYLOADS: Readonly<Record<string, (canary: string) => string>> = {
  script: (url) => `<script>new Image().src="${url}"</script>`,
  "end of a table": (url) => `</bdi></td></table><script>new Image().src="${url}"</script>`,
  "end of a style": (url) => `</style><script>new Image().src="${url}"</script>`,
  "image that fails": (url) => `<img src="data:x" onerror="new Image().src='${url}'">`,
  "image that loads": (url) => `<img src="${url}">`,
  "quotes closed": (url) => `"'><svg onload="new Image().src='${url}'">`,
  "frame with a document": (url) => `<iframe srcdoc="<img src='${url}'>"></iframe>`,
  "frame with a script address": (url) =>
    `<iframe src="javascript:void(new Image().src='${url}')"></iframe>`,
  "field that takes the focus": (url) => `<input autofocus onfocus="new Image().src='${url}'">`,
  "details that open": (url) => `<details open ontoggle="new Image().src='${url}'">x</details>`,
  "style sheet": (url) => `<link rel="stylesheet" href="${url}">`,
  "style with an address": (url) => `<p style="background:url(${url})">x</p>`,
  redirect: (url) => `<meta http-equiv="refresh" content="0;url=${url}">`,
  object: (url) => `<object data="${url}"></object>`,
};
/** What a content security policy has no say in: leaving the page. */
const BEYOND_POLICY = ["redirect"];

let browser: Browser;
/** Which canaries were asked for. */
const sung: string[] = [];
let canaries: Bun.Server<undefined>;

/** A site of the attacker, or one without the defences: what it serves is set by each test. */
interface Site extends Disposable {
  readonly url: string;
  readonly port: number;
  readonly calls: { method: string; path: string; cookie: string }[];
}

function site(page: string, headers: Readonly<Record<string, string>> = {}): Site {
  const calls: Site["calls"] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request) => {
      const { pathname } = new URL(request.url);
      if (pathname === "/favicon.ico") return new Response(null, { status: 404 });
      const cookie = request.headers.get("cookie") ?? "";
      calls.push({ method: request.method, path: pathname, cookie });
      return new Response(`<!doctype html>${page}`, {
        headers: { "content-type": "text/html", ...headers },
      });
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}`,
    port: server.port ?? 0,
    calls,
    [Symbol.dispose]: () => void server.stop(true),
  };
}

const canaryOf = (name: string) => `http://127.0.0.1:${canaries.port}/${encodeURIComponent(name)}`;
const payloads = () => Object.entries(PAYLOADS).map(([name, make]) => make(canaryOf(name)));

/** A service in whose every stored text all payloads stand. */
async function infested(): Promise<AdminWorld> {
  const text = payloads().join(" ");
  const transcript = async () => text;
  const world = await adminWorld({
    sessions: { reset: async () => false, resetItem: async () => 0, transcript },
  });
  const { store } = world;
  const author = { id: 9, login: text };
  await store.deliveries.record(
    {
      id: "11111111-1111-4111-8111-111111111111",
      ...{ event: text, repo: text, number: 42, sender: text, receivedAt: START },
      ...{ status: "ignored", reason: text, bodySha256: "0".repeat(64) },
    },
    [],
  );
  await store.work.mark([{ repo: ITEM.repo, target: { kind: "number", number: 42 } }], true);
  await store.work.resolve(
    (await store.work.unresolved(10)).map((row) => ({ row, items: [ITEM] })),
  );
  const claim = await store.work.claimReconcile("test", 60_000);
  if (claim === null) throw new Error("nothing to reconcile");
  const order = {
    agent: "boss",
    skill: "implement",
    fingerprint: text,
    reason: text,
    asked: null,
    headSha: null,
    reviews: [],
  } as const satisfies RunOrder;
  await store.work.settleReconcile(claim, {
    ...{ decision: text, reason: text, state: "waiting", lookAgainAt: null, order, pull: 43 },
    snapshot: snapshotWith({
      ...{ title: text, body: text, author, labels: [text] },
      comments: [comment({ body: text, author })],
      pull: pullWith({ title: text, body: text, author, headBranch: text }),
    }),
    parks: [{ row: "all", name: text, reason: text, until: null, since: START }],
  });
  const run = await store.work.claimRun("test", 60_000, { runs: 4, runsPerAgent: 2 });
  if (run === null) throw new Error("no order to run");
  const session = {
    ...{ key: "boss:acme/widgets#42", agent: "boss", ...ITEM },
    ...{ sessionId: "6d2f1f2e-8f0c-4d52-9e1c-0a1b2c3d4e5f", createdAt: START, updatedAt: START },
    ...{ resumes: 0, tainted: false, usdTotal: 0 },
  };
  const seen = { title: text, body: text, pull: null, texts: {}, checks: {}, acts: [] };
  await store.runs.start(run, {
    ...{ id: "run-0001", item: ITEM, order, session, resumed: false, startedAt: START },
    ...{ shown: [], seen, promptBytes: 1 },
  });
  await store.runs.end({
    id: "run-0001",
    endedAt: START,
    outcome: "failed",
    reason: text,
    session,
  });
  await store.work.pause({ kind: "repo", repo: text }, true);
  return world;
}

describe("in a real browser", () => {
  beforeAll(async () => {
    canaries = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: (request) => {
        const name = decodeURIComponent(new URL(request.url).pathname.slice(1));
        if (name in PAYLOADS) sung.push(name);
        return new Response("", { headers: { "content-type": "text/css" } });
      },
    });
    browser = await startBrowser();
  }, 60_000);

  afterAll(async () => {
    await browser[Symbol.asyncDispose]();
    await canaries.stop(true);
  });

  describe("text of strangers", () => {
    test("bites in a page that does not escape it, each of them", async () => {
      sung.length = 0;

      await Promise.all(
        Object.entries(PAYLOADS).map(async ([name, make]) => {
          using careless = site(make(canaryOf(name)));
          // A frame within the page may begin to load after the page is quiet.
          await browser.linger(careless.url, () => sung.includes(name), 10_000);
        }),
      );

      expect([...new Set(sung)].sort()).toEqual(Object.keys(PAYLOADS).sort());
    }, 60_000);

    test("is stopped by our policy alone, were it not escaped, but for leaving the page", async () => {
      await using world = await adminWorld();
      const policy = (await world.call("/")).headers.get("content-security-policy") ?? "";
      sung.length = 0;

      await Promise.all(
        Object.entries(PAYLOADS).map(async ([name, make]) => {
          using careless = site(make(canaryOf(name)), { "content-security-policy": policy });
          await browser.visit(careless.url, "1");
        }),
      );

      expect([...new Set(sung)]).toEqual(BEYOND_POLICY);
    }, 60_000);

    test.each([
      ["the dashboard", "/"],
      ["the items", "/api/v1/items"],
      ["an item with title, comments, branch and logins", "/api/v1/items/acme/widgets/42"],
      ["the deliveries with their reasons and senders", "/api/v1/deliveries"],
      ["the runs", "/api/v1/runs"],
      ["a run", "/api/v1/runs/run-0001"],
      ["the sessions", "/api/v1/sessions"],
      ["a transcript", "/api/v1/sessions/boss/acme/widgets/42/transcript"],
      ["the status with its pauses", "/api/v1/status"],
    ])(
      "does nothing but stand there in %s",
      async (_name, path) => {
        await using world = await infested();
        await browser.setCookie(world.listener.url, { ...COOKIE, sameSite: "Strict" });
        sung.length = 0;
        const shown = await world.call(path, { headers: { authorization: null, cookie: SESSION } });
        expect(shown.status).toBe(200);

        const seen = await browser.visit<{ text: string; made: number; at: string }>(
          world.listener.url + path,
          `({ text: document.body.innerText, at: location.pathname,
            made: document.querySelectorAll("script, img, svg, iframe, input, details, link, object, meta[http-equiv], [onerror], [onload]").length })`,
        );

        expect(sung).toEqual([]);
        expect(seen.at).toBe(path);
        expect(seen.made).toBe(0);
        const [first = ""] = payloads();
        const inJson = JSON.stringify(first).slice(1, -1);
        if (path === "/api/v1/sessions") return;
        // Names of repositories are kept in lower case.
        const shownAs = (path === "/" ? first : inJson).toLowerCase();
        expect(seen.text.toLowerCase()).toContain(shownAs);
      },
      40_000,
    );

    test("does nothing in the dashboard without any policy, either: escaping is enough by itself", async () => {
      await using world = await infested();
      const page = (await world.call("/")).text;
      using relay = site(page);
      sung.length = 0;

      await browser.visit(relay.url, "1");

      expect(sung).toEqual([]);
    }, 40_000);
  });

  /** Ways in which a page makes a browser that is logged in call another address. */
  const FORGERIES: Readonly<Record<string, (target: string) => string>> = {
    "a form": (target) =>
      `<form method="post" action="${target}/api/v1/pause"></form><script>document.forms[0].submit()</script>`,
    "a form that looks like JSON": (target) =>
      `<form method="post" enctype="text/plain" action="${target}/reset">
         <input name='{"agent":"boss","repo":"acme/widgets","issue":42,"x":"' value='"}'></form>
       <script>document.forms[0].submit()</script>`,
    "a form in a frame without origin": (target) =>
      `<iframe sandbox="allow-scripts allow-forms" srcdoc='<form method="post" action="${target}/api/v1/pause"></form><script>document.forms[0].submit()</script>'></iframe>`,
    "a call without CORS": (target) =>
      `<script>fetch("${target}/reset", { method: "POST", mode: "no-cors", credentials: "include",
         body: '{"agent":"boss","repo":"acme/widgets","issue":42}' })</script>`,
    "a call without body": (target) =>
      `<script>fetch("${target}/api/v1/pause", { method: "POST", mode: "no-cors", credentials: "include" })</script>`,
    "a beacon": (target) =>
      `<script>navigator.sendBeacon("${target}/api/v1/pause", new Blob(["{}"], { type: "text/plain" }))</script>`,
  };
  const FROM = ["http://attacker.example", "http://127.0.0.1"] as const;

  describe("a page of somebody else", () => {
    test.each(FROM)(
      "at %s makes a service without our checks act, in every way",
      async (from) => {
        const acted = await Promise.all(
          Object.entries(FORGERIES).map(async ([name, make]) => {
            using victim = site("done");
            using attacker = site(make(victim.url));
            // As if the cookie were not SameSite: our checks must hold without it.
            await browser.setCookie(victim.url, { ...COOKIE, sameSite: "None" });
            const posted = () => victim.calls.filter(({ method }) => method === "POST");
            const page = `${from}:${attacker.port}/`;
            await browser.linger(page, () => posted().length > 0, 10_000);
            const posts = posted();
            expect([name, posts.length]).toEqual([name, 1]);
            return posts[0]?.cookie === SESSION ? name : null;
          }),
        );

        // Of other sites' calls within a page Chromium keeps even such a cookie back; not of their forms.
        expect(acted).toEqual(expect.arrayContaining(["a form", "a form that looks like JSON"]));
        if (from === "http://127.0.0.1") expect(acted).toEqual(Object.keys(FORGERIES));
      },
      60_000,
    );

    test.each(FROM)(
      "at %s changes nothing here, in no way",
      async (from) => {
        const changed = await Promise.all(
          Object.values(FORGERIES).map(async (make) => {
            await using world = await adminWorld();
            using attacker = site(make(world.listener.url));
            await browser.setCookie(world.listener.url, { ...COOKIE, sameSite: "None" });
            // Twice what the slowest of them took to arrive at the service without checks.
            await browser.linger(`${from}:${attacker.port}/`, () => world.changed.length > 0, 2000);
            expect(attacker.calls.length).toBeGreaterThan(0);
            return [...world.changed, ...(await world.store.work.paused())];
          }),
        );

        expect(changed.flat()).toEqual([]);
      },
      60_000,
    );

    test("does not get the cookie sent from another site, as it is set", async () => {
      using victim = site("done");
      using attacker = site(FORGERIES["a form"]?.(victim.url) ?? "");
      await browser.setCookie(victim.url, { ...COOKIE, sameSite: "Strict" });

      const arrived = () => victim.calls.length > 0;
      await browser.linger(`http://attacker.example:${attacker.port}/`, arrived, 10_000);

      expect(victim.calls.filter(({ method }) => method === "POST")).toMatchObject([
        { cookie: "" },
      ]);
    }, 40_000);

    test("cannot show the dashboard in a frame, to have somebody click there", async () => {
      await using world = await adminWorld();
      await browser.setCookie(world.listener.url, { ...COOKIE, sameSite: "Strict" });
      const frame = (url: string) => `<iframe src="${url}/"></iframe>`;
      const policy = (await world.call("/")).headers.get("content-security-policy") ?? "";
      using careless = site("a dashboard");
      using careful = site("a dashboard", { "content-security-policy": policy });
      using overCareless = site(frame(careless.url));
      using overCareful = site(frame(careful.url));
      using attacker = site(frame(world.listener.url));
      const shown = async ({ url }: Site) =>
        (await browser.framesIn(url)).filter((found) => !found.startsWith("chrome-error:"));

      expect(await shown(overCareless)).toEqual([`${careless.url}/`]);
      expect(await shown(overCareful)).toEqual([]);
      expect(await shown(attacker)).toEqual([]);
    }, 60_000);

    test("reads nothing by a name that now leads here (DNS rebinding)", async () => {
      await using world = await adminWorld();
      using careless = site("secret");
      const name = "http://rebound.example";
      const read = "document.body.innerText";

      expect(await browser.visit<string>(`${name}:${careless.port}/`, read)).toBe("secret");
      await browser.setCookie(name, { ...COOKIE, sameSite: "Strict" });
      const answer = await browser.visit<string>(
        `${name}:${world.listener.port}/api/v1/status`,
        read,
      );

      expect(answer).toBe('{"error":"Host: not one of ours; add it to admin.hosts"}');
    }, 40_000);
  });
});
