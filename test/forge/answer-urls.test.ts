import { expect, test } from "bun:test";
import { createForge } from "../../src/forge/create-forge.ts";
import { recordingLog } from "../git/workbench.ts";
import { type Canary, canary, leadingTo } from "../support/canary.ts";
import { REPO, type Site, site } from "./site.ts";

/** Stands before the forge and lets every address in its answers, also that of the next page, lead to the canary. */
function misleading(at: Site, away: Canary): { url: string; said: string[] } & AsyncDisposable {
  const said: string[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: async (request) => {
      const { pathname, search } = new URL(request.url);
      const body = await request.text();
      const answer = await fetch(`${at.forge.url}${pathname}${search}`, {
        method: request.method,
        headers: request.headers,
        ...(body === "" ? {} : { body }),
      });
      const text = leadingTo(away, await answer.text());
      said.push(text);
      const headers = new Headers({ "Content-Type": "application/json" });
      for (const [name, value] of answer.headers) {
        if (/^(?:link|x-)/u.test(name)) headers.set(name, leadingTo(away, value));
      }
      if (Array.isArray(JSON.parse(text || "null"))) {
        headers.set("Link", `<${away.url}/next?page=2>; rel="next"`);
      }
      const isEmpty = answer.status === 204;
      return new Response(isEmpty ? null : text, { status: answer.status, headers });
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}`,
    said,
    async [Symbol.asyncDispose]() {
      await server.stop(true);
    },
  };
}

test("no address that the forge's answers name is asked, also not that of a next page", async () => {
  await using at = await site();
  await using away = canary();
  await using forge = misleading(at, away);
  const agents = ["boss", "reviewer"] as const;
  const client = createForge({
    url: forge.url,
    kind: "forgejo",
    agents: agents.map((name) => ({ name, login: name, token: () => at.tokens[name] })),
    readerAgent: "reviewer",
    now: Date.now,
    requestsPerSecond: 1000,
    log: recordingLog([]),
  });
  const issue = { title: "Broken", body: `![x](${away.url}/i.png)`, assignees: ["boss"] };
  const made = await at.api("ada", "POST", `/repos/${REPO}/issues`, issue);
  const number = Number(made["number"]);
  await at.push("boss", `boss/${number}`, { a: "1\n" });
  const opened = await client.actor("boss").openPull(REPO, {
    ...{ head: `boss/${number}`, base: "main", title: "Mend it", body: "Done" },
  });
  await client.actor("boss").comment(REPO, number, "Here it is");
  const wish = { pulls: [], branches: [], previous: null };
  const [onIssue, onPull] = [
    await client.reader.snapshot({ item: { repo: REPO, number }, ...wish }),
    await client.reader.snapshot({ item: { repo: REPO, number: opened.number }, ...wish }),
  ];

  expect(onIssue.comments).toHaveLength(1);
  expect(onPull.pull?.number).toBe(opened.number);
  expect(away.asked).toEqual([]);

  // Control: these answers name enough, and whoever asks it comes to the canary.
  const addresses = [...new Set(forge.said.flatMap((text) => away.addressesIn(text)))];
  for (const address of addresses) await fetch(address);
  expect(addresses.length).toBeGreaterThan(20);
  expect(away.asked).toHaveLength(addresses.length);
});
