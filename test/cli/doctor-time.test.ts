import { expect, setDefaultTimeout, test } from "bun:test";
import { REPO } from "../../demo/scenario/widgets.ts";
import { type DoctorWorld, doctorWorld, type FoundHere } from "./doctor-world.ts";

setDefaultTimeout(60_000);

const LIMIT_SECONDS = 2;
/** The limit and the start of the process on a busy machine; a single question that hangs is given up after 34 s. */
const ELAPSED_MS_MAX = 15_000;

/** A forge that answers nothing but what `answers` says, and keeps every other question open. */
function hangingForge(answers: (path: string) => Response | null) {
  const open = Promise.withResolvers<Response>();
  const asked: string[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    fetch: async (request) => {
      const { pathname } = new URL(request.url);
      asked.push(pathname);
      return answers(pathname) ?? (await open.promise);
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}`,
    asked,
    [Symbol.asyncDispose]: async () => {
      open.resolve(new Response());
      await server.stop(true);
    },
  };
}

async function doctorWithLimit(world: DoctorWorld) {
  const limit = ["--time-limit", `${LIMIT_SECONDS}`, "--admin-token-file", "secrets/alice"];
  const begin = performance.now();
  const { code, out, errors } = await world.run(["doctor", "--json", ...limit]);
  const elapsed = performance.now() - begin;
  expect(errors).toBe("");
  return { code, elapsed, ...(JSON.parse(out) as { ok: boolean; findings: FoundHere[] }) };
}

const VERSION = { version: "13.0.3+gitea-1.22.0" };
const answersVersion = (path: string): Response | null =>
  path.endsWith("/version") ? Response.json(VERSION) : null;
const answersUntilRepository = (path: string): Response | null => {
  if (path.endsWith("/user")) return Response.json({ id: 1, login: "boss", is_admin: false });
  const permissions = { admin: false, push: true, pull: true };
  return path.endsWith(`/repos/${REPO}`) ? Response.json({ permissions }) : answersVersion(path);
};

test.each([
  ["at all", () => null, ["forge.reachable", "forge.rest"]],
  ["but its version", answersVersion, ["agent.token", "repository.access"]],
  ["of what is in a repository", answersUntilRepository, ["repository.base", "repository.hook"]],
] as const)(
  "a forge that answers nothing %s is asked no longer than the limit",
  async (_, answers, ids) => {
    await using world = await doctorWorld();
    await using forge = hangingForge(answers);
    world.set("forge.url", forge.url);
    world.set(
      "repositories",
      [REPO, "acme/gadgets"].map((name) => ({ name, autonomy: "merge" })),
    );

    const { code, ok, elapsed, findings } = await doctorWithLimit(world);

    expect(elapsed).toBeLessThan(ELAPSED_MS_MAX);
    expect(elapsed).toBeGreaterThan(LIMIT_SECONDS * 1000);
    expect([code, ok]).toEqual([1, false]);
    for (const id of ids) {
      const found = findings.filter((one) => one.id === id);
      expect(found.map(({ state }) => state)).not.toEqual([]);
      for (const one of found)
        expect(one).toMatchObject({ state: "not_checked", found: "time ran out" });
    }
    expect(findings.find(({ id }) => id === "doctor.time")).toMatchObject({
      state: "problem",
      remedy: expect.stringContaining("--time-limit"),
    });
    // The others were asked meanwhile.
    expect(findings.find(({ id }) => id === "model.credential")?.state).toBe("ok");
    // What is not reached any more is not asked about.
    expect(forge.asked.filter((path) => path.includes("gadgets"))).toEqual([]);
  },
);

test("a limit that is none is wrong usage", async () => {
  await using world = await doctorWorld();

  const { code, errors } = await world.run(["doctor", "--time-limit", "0"]);

  expect(code).toBe(2);
  expect(errors).toContain("from 1 to 3600");
});
