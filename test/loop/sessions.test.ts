import { afterEach, describe, expect, test } from "bun:test";
import { say, use } from "../../demo/model/conversation.ts";
import { REPO } from "../../demo/scenario/widgets.ts";
import { forgeTool, IMPLEMENTING, type ServiceWorld, serviceWorld, steps, type Wish } from "../support/service-world.ts";

const QUESTION = "Should ß become ss or be dropped?";

test("probe", async () => {
  await using world = await serviceWorld({ repository: { review: "requested" } });
  world.stranger("mallory");
  world.script(steps(forgeTool("ask_human", { question: QUESTION })));
  const t0 = performance.now();
  const number = await world.issue();
  await world.line({ msg: "run ended", outcome: "asked" });
  console.log(performance.now() - t0);
  console.log(await world.settled(number));
  const before = world.requests().at(-1);
  await world.comment("mallory", number, "I say: drop it");
  console.log(await world.settled(number));
  world.script(steps(...IMPLEMENTING));
  await world.comment("alice", number, "Make it ss, please");
  await world.line({ msg: "run ended", outcome: "succeeded" });
  const after = world.requests().find((r) => r.n > (before?.n ?? 0));
  for (const m of before?.body.messages ?? []) console.log("BEFORE", JSON.stringify(m).slice(0, 300));
  for (const m of after?.body.messages ?? []) console.log("AFTER", JSON.stringify(m).slice(0, 3000));
  console.log(await world.pulls().then((p) => p.length), performance.now() - t0);
}, 60_000);
