import { expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { readConversation } from "../../demo/model/conversation.ts";
import { REPO } from "../../demo/scenario/widgets.ts";
import { forgeTool, IMPLEMENTING, steps } from "../support/model-steps.ts";
import { serviceWorld } from "../support/service-world.ts";

test("a session that waits longer for its answer than transcripts are kept is dropped, and begins anew when it comes", async () => {
  await using world = await serviceWorld({
    repository: { review: "requested" },
    more: "limits: { transcript_days: 0.00003 }",
  });
  world.script(steps(forgeTool("ask_human", { question: "Should ß become ss?" })));
  await world.issue();
  await world.line({ msg: "run ended", outcome: "asked" });

  const { session } = await world.line({ msg: "session dropped", why: "retention" });

  expect(session).toBe((await world.line({ msg: "starting session" }))["session"]);
  const left = await readdir(join(world.stateDir, "claude", REPO));
  expect(left).toEqual([]);
  const path = `/api/v1/sessions/boss/${REPO}/1`;
  expect((await world.admin("GET", path)).json).toMatchObject({
    history: [{ session_id: session, ended_why: "retention" }],
  });

  world.script(steps(...IMPLEMENTING));
  await world.comment("alice", 1, "Make it ss, please");
  await world.line({ msg: "run ended", outcome: "succeeded" });
  expect(world.matching({ msg: "resuming session" })).toEqual([]);
  const first = world
    .requests()
    .find((request) => readConversation(request)?.prompt.includes("Make it ss"));
  const talk = first === undefined ? null : readConversation(first);
  expect(talk).toMatchObject({ resumed: false });
  expect((await world.admin("GET", path)).json).toMatchObject({
    history: [{ why: "retention" }, { why: "first" }],
  });
}, 60_000);
