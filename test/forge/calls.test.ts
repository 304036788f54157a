import { describe, expect, test } from "bun:test";
import { ForgeFailure } from "../../src/ports/forge.ts";
import { REPO } from "./site.ts";
import { stub } from "./stub.ts";

const repos = `/repos/${REPO}`;
const version = (): Response => Response.json({ version: "14.0.3+gitea-1.22.0" });
const time = "2026-01-02T03:04:05Z";
const user = { id: 1, login: "ada" };
const issue = {
  ...{ number: 4, title: "T", body: "", user, state: "open", labels: [], assignees: null },
  ...{ created_at: time, updated_at: "2026-01-02T04:04:05+01:00", pull_request: null },
};

describe("a read", () => {
  test.each([
    [401, "auth"],
    [403, "forbidden"],
    [404, "not_found"],
    [422, "refused"],
    [423, "refused"],
  ] as const)("answered %i fails as %s with the forge's words, at once", async (status, kind) => {
    await using at = stub(() => Response.json({ message: "its words" }, { status }));

    const read = at.client().reader.comments(REPO, 4);

    await expect(read).rejects.toMatchObject({ kind, status });
    await expect(read).rejects.toThrow(
      `GET ${repos}/issues/4/comments: status ${status}, its words`,
    );
    expect(at.seen).toHaveLength(1);
  });

  test("is tried again after a 500 and a broken connection, and then answers", async () => {
    await using at = stub((_request, count) =>
      count < 3 ? new Response("<html>", { status: 500 + count }) : version(),
    );

    expect(await at.client().reader.version()).toBe("14.0.3+gitea-1.22.0");
    expect(at.seen).toHaveLength(3);
  });

  test("gives up after three more tries", async () => {
    await using at = stub(() => new Response("", { status: 502 }));

    await expect(at.client().reader.version()).rejects.toMatchObject({
      ...{ kind: "unavailable", status: 502 },
    });
    expect(at.seen).toHaveLength(4);
  }, 15_000);

  test("of a forge that does not answer in time, or is away, is unavailable", async () => {
    const hung = Promise.withResolvers<Response>();
    await using at = stub(() => hung.promise);
    const slow = at.client({ timeoutMs: 30 }).actor("boss").comment(REPO, 4, "x");
    await expect(slow).rejects.toMatchObject({ kind: "unavailable", status: null });
    hung.resolve(version());
    const gone = at.client({ url: "http://127.0.0.1:1" }).actor("boss");
    await expect(gone.comment(REPO, 4, "x")).rejects.toMatchObject({ kind: "unavailable" });
  });

  const malformed: readonly (readonly [string, unknown, string])[] = [
    ["a missing field", { ...issue, state: undefined }, "field state"],
    ["a state nobody knows", { ...issue, state: "draft" }, "field state"],
    ["a user without id", { ...issue, user: { login: "x" } }, "field user.id"],
    ["a time that is none", { ...issue, updated_at: "yesterday" }, "field updated_at"],
    ["a list", [], "field the answer"],
  ];
  test.each(malformed)(
    "answered with %s is malformed and names call and field",
    async (_what, body, words) => {
      await using at = stub(() => Response.json(body));

      const read = at.client().reader.lookUp(REPO, 4);

      await expect(read).rejects.toMatchObject({ kind: "malformed" });
      await expect(read).rejects.toThrow(words);
      await expect(read).rejects.toThrow(`GET ${repos}/issues/4`);
    },
  );

  test("answered with a web page or too much is malformed", async () => {
    await using at = stub((_request, count) =>
      count === 1 ? new Response("<html>") : new Response("x".repeat(9 * 1024 * 1024)),
    );
    const { reader } = at.client();

    await expect(reader.version()).rejects.toMatchObject({ kind: "malformed" });
    await expect(reader.version()).rejects.toThrow("over 8388608 bytes");
  });

  test("takes null, [] and a missing list for the same, and any zone of a time", async () => {
    const bodies = [
      issue,
      { ...issue, assignees: [], labels: null },
      { ...issue, assignees: undefined, labels: undefined },
    ];
    for (const body of bodies) {
      await using at = stub((request) => {
        const { pathname } = new URL(request.url);
        if (pathname.endsWith("/issues/4")) return Response.json(body);
        return Response.json(pathname.endsWith("/timeline") ? null : []);
      });
      const snapshot = await at.client().reader.snapshot({
        ...{ item: { repo: REPO, number: 4 }, pulls: [], branches: [], previous: null },
      });
      expect([snapshot.assignees, snapshot.labels]).toEqual([[], []]);
      expect(snapshot.updatedAt).toBe(Date.parse(time));
    }
  });
});

describe("the token", () => {
  test("stays with the configured origin: a redirect is refused and names the new place", async () => {
    await using canary = stub(() => version());
    await using at = stub(() => Response.redirect(`${canary.url}/api/v1/version`, 301));

    const read = at.client().reader.version();

    await expect(read).rejects.toMatchObject({ kind: "refused", status: 301 });
    await expect(read).rejects.toThrow(`moved to ${canary.url}`);
    expect(canary.seen).toEqual([]);
    expect(at.seen).toHaveLength(1);
  });

  test("control: a call that follows the redirect reaches the other server", async () => {
    await using canary = stub(() => version());
    await using at = stub(() => Response.redirect(`${canary.url}/api/v1/version`, 301));
    const headers = { Authorization: "token reader-token" };

    const answer = await fetch(`${at.url}/api/v1/version`, { headers, redirect: "follow" });

    expect(answer.status).toBe(200);
    expect(canary.seen.map(({ call }) => call)).toEqual(["GET /version"]);
  });

  test("is asked for at each call, of the agent who acts or of the reader", async () => {
    await using at = stub(() => Response.json({ id: 1, version: "1" }));
    let token = "old";
    const agents = [{ name: "boss", login: "boss", token: () => token }];
    const client = at.client({ agents, readerAgent: "boss" });

    await client.reader.version();
    token = "new";
    await client.actor("boss").comment(REPO, 4, "x");

    expect(at.seen.map(({ authorization }) => authorization)).toEqual(["token old", "token new"]);
  });

  test("is in no failure", async () => {
    await using at = stub(
      (_request, count) => new Response("no", { status: count === 1 ? 401 : 404 }),
    );
    const { reader } = at.client();
    for (const call of [reader.version(), reader.lookUp(REPO, 1)]) {
      const failure = await call.then(
        () => null,
        (error: unknown) => error,
      );
      expect(failure).toBeInstanceOf(ForgeFailure);
      expect(Bun.inspect(failure)).not.toContain("reader-token");
    }
  });

  test.each(["ftp://forge", "http://user:pw@forge", "nonsense"])(
    "a forge at %s is refused",
    async (url) => {
      await using at = stub(() => version());

      expect(() => at.client({ url })).toThrow();
    },
  );
});

test.each(["../x", "acme", "acme/..", "a/b/c", "acme/wid gets", "acme/x?y", "acme/%2e", ""])(
  "the repository name %j reaches no address",
  async (repo) => {
    await using at = stub(() => version());

    await expect(at.client().reader.comments(repo, 1)).rejects.toMatchObject({ kind: "refused" });
    expect(at.seen).toEqual([]);
  },
);

test("names in a path are encoded", async () => {
  await using at = stub(() => new Response(null, { status: 204 }));

  await at.client().actor("boss").deleteBranch(REPO, "boss/4?#%");

  expect(at.seen[0]?.call).toBe(`DELETE ${repos}/branches/boss%2F4%3F%23%25`);
});

describe("the rate limit", () => {
  test("holds over three seconds, and what a webhook caused goes before the sweep", async () => {
    await using at = stub(() => Response.json([]));
    const client = at.client({ requestsPerSecond: 1 });
    const start = performance.now();
    const first = [1, 2, 3].map((number) => client.sweepReader.comments(REPO, number));
    const sweep = client.sweepReader.comments(REPO, 4);
    const webhook = client.reader.comments(REPO, 5);
    await Promise.all(first);
    const whenFull = at.seen.length;
    await Promise.all([sweep, webhook]);

    expect(whenFull).toBe(3);
    expect(performance.now() - start).toBeGreaterThan(2_900);
    const numbers = at.seen.map(({ call }) => Number(/issues\/(\d)/.exec(call)?.[1]));
    expect(numbers.slice(0, 3).toSorted()).toEqual([1, 2, 3]);
    expect(numbers.slice(3)).toEqual([5, 4]);
  });

  test("a 429 with a short Retry-After makes all calls wait, then reads are tried again", async () => {
    await using at = stub((_request, count) =>
      count === 1 ? new Response("", { status: 429, headers: { "Retry-After": "1" } }) : version(),
    );
    const { reader } = at.client();
    const start = performance.now();

    const first = reader.version();
    await Bun.sleep(50);
    const second = reader.version();
    const answers = await Promise.all([first, second]);

    expect(answers).toHaveLength(2);
    expect(performance.now() - start).toBeGreaterThan(900);
    expect(at.seen).toHaveLength(3);
    expect(at.warnings.join()).toContain("limits our calls");
  });

  test("a 429 with a long Retry-After fails all calls at once, with the time", async () => {
    let now = 1_000_000;
    await using at = stub((_request, count) =>
      count === 1 ? new Response("", { status: 429, headers: { "Retry-After": "60" } }) : version(),
    );
    const { reader } = at.client({ now: () => now });
    const limited = { kind: "rate_limited", status: 429, retryAt: now + 60_000 };

    await expect(reader.version()).rejects.toMatchObject(limited);
    await expect(reader.version()).rejects.toMatchObject(limited);
    expect(at.seen).toHaveLength(1);
    now += 60_000;
    expect(await reader.version()).toContain("gitea");
  });
});

test("the clock offset is the forge's Date minus our time", async () => {
  const date = new Date("2026-05-05T05:05:05Z");
  await using at = stub(() =>
    Response.json({ version: "1" }, { headers: { Date: date.toUTCString() } }),
  );
  const { reader } = at.client({ now: () => date.getTime() - 90_000 });

  await reader.version();

  expect(reader.clockOffset()).toBe(90_000);
});

describe("a list", () => {
  const row = (id: number) => ({ ...issue, number: id, repository: { full_name: "Acme/Widgets" } });
  const pageOf = (request: Request): number =>
    Number(new URL(request.url).searchParams.get("page"));

  test("is read by X-Total-Count also when the server gives smaller pages than asked for", async () => {
    await using at = stub((request) => {
      const start = (pageOf(request) - 1) * 20;
      const rows = Array.from({ length: 45 }, (_, index) => row(index + 1)).slice(
        start,
        start + 20,
      );
      return Response.json(rows, { headers: { "X-Total-Count": "45" } });
    });

    const found = await at.client().sweepReader.changedFor("boss", 0);

    expect(found).toHaveLength(45);
    expect(found[0]).toEqual({
      ...{ repo: REPO, number: 1, updatedAt: Date.parse(time), state: "open" },
    });
    expect(at.seen).toHaveLength(4 * 3);
    expect(at.seen.every(({ authorization }) => authorization === "token boss-token")).toBe(true);
  });

  test("is read by Link, else to a short page", async () => {
    await using at = stub((request) => {
      const isFirst = pageOf(request) === 1;
      const flag = new URL(request.url).searchParams.has("assigned");
      if (!flag) return Response.json(isFirst ? [row(1)] : null);
      const headers = isFirst ? { Link: '<x>; rel="next",<y>; rel="last"' } : { Link: "" };
      return Response.json([row(pageOf(request) + 10)], { headers });
    });

    const found = await at.client().sweepReader.changedFor("boss", 0);

    expect(found.map(({ number }) => number).toSorted()).toEqual([1, 11, 12]);
  });

  test("that does not end is a failure, never a part", async () => {
    await using at = stub(() =>
      Response.json([row(1)], { headers: { "X-Total-Count": "1000000" } }),
    );

    const endless = at.client().reader.changedWithLabel(REPO, "agent", 0);

    await expect(endless).rejects.toMatchObject({ kind: "malformed" });
  });
});
