import { expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { type Canary, canary, leadingTo } from "../support/canary.ts";
import { forgeTool, IMPLEMENTING, steps } from "../support/model-steps.ts";
import { serviceWorld } from "../support/service-world.ts";

const FIXTURES = new URL("../fixtures/forgejo/", import.meta.url).pathname;
const NAMES = [...new Bun.Glob("*.json").scanSync(FIXTURES)]
  .filter((name) => !name.endsWith(".headers.json"))
  .sort();

interface Delivery {
  readonly event: string;
  readonly body: string;
}

/** Every recorded delivery of a Forgejo, about the item 1, with each of its addresses leading to the canary. */
async function deliveries(at: Canary): Promise<readonly Delivery[]> {
  return await Promise.all(
    NAMES.map(async (name) => {
      const headers = await Bun.file(FIXTURES + name.replace(/json$/u, "headers.json")).json();
      const text = await Bun.file(FIXTURES + name).text();
      const body = leadingTo(at, text)
        .replace(/("number": ?)(?:42|43)\b/gu, "$11")
        .replaceAll("boss/42", "boss/1");
      return { event: String(headers["X-Forgejo-Event-Type"]), body };
    }),
  );
}

test("no address that a delivery, an issue or a comment names is asked", async () => {
  await using at = canary();
  await using world = await serviceWorld({ repository: { review: "requested" } });
  const secret = world.world.serviceOptions.webhookSecret;
  const all = await deliveries(at);
  world.script(steps(forgeTool("ask_human", { question: "Which one?" })));
  await world.issue();
  await world.line({ msg: "run ended", agent: "boss", outcome: "asked" });
  const mark = world.lines.length;
  const words = `![x](${at.url}/i.png) <img src="${at.url}/j.png"> ${at.url}/acme/widgets.git`;

  const answers: number[] = [];
  for (const { event, body } of all) {
    const headers = {
      "Content-Type": "application/json",
      "X-Forgejo-Event-Type": event,
      "X-Forgejo-Delivery": crypto.randomUUID(),
      "X-Forgejo-Signature": createHmac("sha256", secret).update(body).digest("hex"),
    };
    answers.push((await fetch(world.service().webhook, { method: "POST", headers, body })).status);
  }
  world.script(steps(...IMPLEMENTING));
  await world.comment("alice", 1, words);
  await world.line({ msg: "run ended", agent: "boss", outcome: "succeeded" }, mark);

  expect(all.length).toBeGreaterThan(40);
  expect(answers.filter((status) => status === 202).length).toBeGreaterThan(20);
  expect(answers.filter((status) => status !== 202 && status !== 200)).toEqual([]);
  expect(world.requests().some(({ raw }) => raw.includes(`${at.url}/i.png`))).toBe(true);
  expect(at.asked).toEqual([]);
}, 60_000);

test("control: whoever asks the addresses of these deliveries reaches the canary with each", async () => {
  await using at = canary();
  const named = (await deliveries(at)).flatMap(({ body }) => at.addressesIn(body));
  const addresses = [...new Set(named)];

  for (const address of addresses) await fetch(address);

  expect(addresses.length).toBeGreaterThan(30);
  expect(at.asked).toHaveLength(addresses.length);
});
