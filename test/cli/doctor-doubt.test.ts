import { expect, setDefaultTimeout, test } from "bun:test";
import { REPO } from "../../demo/scenario/widgets.ts";
import { type DoctorWorld, doctorWorld, EVENTS, MODEL } from "./doctor-world.ts";

setDefaultTimeout(60_000);

type Findings = Awaited<ReturnType<DoctorWorld["doctor"]>>["findings"];

function stateOf(findings: Findings, id: string): string[] {
  return [...new Set(findings.filter((one) => one.id === id).map(({ state }) => state))];
}

/** Hears whether anything reaches it. */
function elsewhere() {
  const heard: string[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request) => {
      heard.push(`${request.url} ${request.headers.get("authorization")}`);
      return Response.json({ id: 1, login: "boss" });
    },
  });
  const stop = async (): Promise<void> => await server.stop(true);
  return { heard, url: `http://127.0.0.1:${server.port}`, [Symbol.asyncDispose]: stop };
}

test.each([
  ["a page of a proxy", { status: 200, text: "<html>please log in</html>" }],
  ["nothing of the kind", { status: 404, text: "" }],
])("what answers for an account with %s has not taken the token", async (_, answer) => {
  await using world = await doctorWorld();
  world.forgeSays(/\/user$/u, answer);

  const { findings } = await world.doctor();

  expect(stateOf(findings, "agent.token")).toEqual(["not_checked"]);
});

test("a redirect is not followed, takes no token along, and has not taken it either", async () => {
  await using world = await doctorWorld();
  await using other = elsewhere();
  const proxy = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request) => {
      const { pathname } = new URL(request.url);
      if (pathname.endsWith("/version")) return Response.json({ version: "13.0.3+gitea-1.22.0" });
      return Response.redirect(`${other.url}${pathname}`, 302);
    },
  });
  world.set("forge.url", `http://127.0.0.1:${proxy.port}`);

  const { findings } = await world.doctor();

  await proxy.stop(true);
  expect(other.heard).toEqual([]);
  expect(stateOf(findings, "agent.token")).toEqual(["not_checked"]);
});

test("rights that a forge does not tell are neither good nor bad", async () => {
  await using world = await doctorWorld();
  world.forgeSays(/\/widgets$/u, ({ permissions: _, ...repo }) => repo);

  const { findings } = await world.doctor();

  expect(stateOf(findings, "repository.access")).toEqual(["not_checked"]);
  expect(stateOf(findings, "repository.administrator")).toEqual(["not_checked"]);
  expect(stateOf(findings, "repository.base")).not.toEqual([]);
});

test("a server that lists its models whatever it is asked has not said that there is this one", async () => {
  await using world = await doctorWorld();
  world.modelSays(() => Response.json({ data: [{ type: "model", id: MODEL }] }));

  const { findings } = await world.doctor();

  expect(stateOf(findings, "model.credential")).toEqual(["ok"]);
  expect(stateOf(findings, "model.name")).toEqual(["not_checked"]);
});

test("a list of hooks that does not end is not read to its end", async () => {
  await using world = await doctorWorld();
  let pages = 0;
  const row = { id: 1, type: "forgejo", active: true, events: EVENTS, branch_filter: "*" };
  const config = { url: "http://127.0.0.1:1/other", content_type: "json" };
  world.forgeSays(new RegExp(`/repos/${REPO}/hooks$`, "u"), () => {
    pages += 1;
    return Array.from({ length: 50 }, () => ({ ...row, config }));
  });

  const { findings } = await world.doctor();

  expect(stateOf(findings, "repository.hook")).toEqual(["not_checked"]);
  expect(pages).toBeLessThanOrEqual(10);
});

test("an answer without end is cut off, and said to be none", async () => {
  await using world = await doctorWorld();
  const endless = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: () => {
      const piece = new Uint8Array(1024 * 1024).fill(0x20);
      const pull = (to: ReadableStreamDefaultController): void => to.enqueue(piece);
      return new Response(new ReadableStream({ pull }));
    },
  });
  world.set("forge.url", `http://127.0.0.1:${endless.port}`);
  world.set("model.base_url", `http://127.0.0.1:${endless.port}`);

  const { code, findings } = await world.doctor();

  await endless.stop(true);
  expect(code).toBe(1);
  expect(stateOf(findings, "forge.reachable")).toEqual(["problem"]);
  expect(stateOf(findings, "model.credential")).toEqual(["not_checked"]);
});
