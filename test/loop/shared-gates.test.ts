import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { type LogLine, startService } from "../../demo/scenario/service.ts";
import { IMPLEMENTING, steps } from "../support/model-steps.ts";
import { sharedCluster } from "../support/postgres-cluster.ts";
import { serviceWorld } from "../support/service-world.ts";

setDefaultTimeout(120_000);

const HOUR = 60 * 60_000;

test("a usage limit that one service has met lets another start nothing, until one run of both has found it over", async () => {
  const database = await (await sharedCluster()).createDatabase();
  await using world = await serviceWorld({
    more: `database: ${database}`,
    repository: { review: "requested" },
  });
  const lines: LogLine[] = [];
  const dir = join(world.dir, "second");
  await mkdir(dir);
  const second = await startService({
    ...world.world.serviceOptions,
    dir,
    onLog: (line) => lines.push(line),
  });
  try {
    const all = (msg: string) => [...world.lines, ...lines].filter((line) => line.msg === msg);
    const reset = `${Math.ceil((Date.now() + HOUR) / 1000)}`;
    world.script(() => ({
      status: 429,
      headers: {
        "anthropic-ratelimit-unified-status": "rejected",
        "anthropic-ratelimit-unified-representative-claim": "five_hour",
        "anthropic-ratelimit-unified-reset": reset,
      },
      body: { type: "error", error: { type: "rate_limit_error", message: "over the limit" } },
    }));
    // One of them meets it while the other rests.
    const resting = join(second.stateDir, "paused");
    await Bun.write(resting, "");
    await world.issue();
    await world.until(
      "it meets it",
      () => world.matching({ msg: "gate closed", reason: "usage_limit" })[0],
      60_000,
    );
    await world.line({ msg: "run ended", outcome: "parked" });
    const asked = world.requests().length;
    world.script(steps(...IMPLEMENTING));
    // From now on only the other one may begin anything.
    await Bun.write(join(world.stateDir, "paused"), "");
    await Bun.file(resting).delete();
    await world.issue();
    await world.until("the other knows", () =>
      lines.find(({ msg }) => msg === "gate closed by another process"),
    );
    await world.until("the other has decided", () =>
      lines.find(({ msg, decision }) => msg === "decision" && decision === "run implement"),
    );

    expect(world.requests()).toHaveLength(asked);
    expect(all("cli started")).toHaveLength(1);

    // An hour later.
    const name = new URL(database).pathname.slice(1);
    await (await sharedCluster()).run("update gate set retry_at = 0", name);
    await Bun.file(join(world.stateDir, "paused")).delete();
    await world.until("both are done", async () => (await world.pulls()).length === 2, 60_000);

    expect(all("trying a gate")).toHaveLength(1);
    expect(all("gate opened")).toHaveLength(1);
    await world.until(
      "the one that did not try hears of it",
      () => all("gate opened by another process").length === 1,
    );
    expect(world.matching({ msg: "run ended", outcome: "failed" })).toEqual([]);
    expect(lines.filter(({ outcome }) => outcome === "failed")).toEqual([]);
  } finally {
    await second.stop();
  }
});
