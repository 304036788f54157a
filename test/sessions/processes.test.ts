import { expect, test } from "bun:test";
import { fileURLToPath } from "node:url";
import { openSessionWorld } from "../support/session-world.ts";

const CHILD = fileURLToPath(new URL("set-sessions-in-child.ts", import.meta.url));

test("four processes that set sessions in one database lose nothing, and the next start finds no edit", async () => {
  await using world = await openSessionWorld();
  const agents = ["a", "b", "c", "d"];

  const codes = await Promise.all(
    agents.map((agent) => {
      const args = [process.execPath, CHILD, world.database.directory, agent];
      return Bun.spawn(args, { stdio: ["ignore", "inherit", "inherit"] }).exited;
    }),
  );

  expect(codes).toEqual([0, 0, 0, 0]);
  const { table } = await world.open();
  const rows = await table.all();
  expect(rows).toHaveLength(401);
  for (const agent of agents) {
    expect(rows.filter((row) => row.agent === agent)).toHaveLength(100);
  }
  const shared = await table.get("shared:acme/widgets#1");
  expect(shared?.resumes).toBe(100);
  expect(agents).toContain(shared?.sessionId ?? "");
  expect(world.warnings()).toEqual([]);
  const { sessions } = (await world.content()) as { sessions: unknown[] };
  expect(sessions).toHaveLength(401);
}, 30_000);
