import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { plainMessages } from "../../demo/model/messages-request.ts";
import { createJail } from "../../src/sandbox/create-jail.ts";
import { agentWorld, bareSpec, git } from "../support/agent-world.ts";

setDefaultTimeout(30_000);

const SECRET = "A SECRET OF THE HOST";

test.each(["dev", "tmp"])(
  "agent %s: links planted by the set-up or by a CLI show the next CLI nothing of the host",
  async (agent) => {
    await using world = await agentWorld();
    await Bun.write(join(world.dir, "secret"), SECRET);
    const clone = join(world.dir, "1", agent);
    await mkdir(clone, { recursive: true });
    await git(clone, ["init", "-q"]);
    const plant = (name: string) =>
      `ln -sf ${world.dir}/secret /clone/X; ln -s ../../${agent}/X /clone/.git/${name}`;
    const look = `cat /${agent}/X /clone/.git/config.worktree /clone/.git/commondir; ls /${agent}`;
    const jail = createJail({ mode: "bwrap", dir: join(world.dir, "jail") });
    const { file, args, env } = jail.command(bareSpec(clone, world.home), "/bin/sh", [
      "-c",
      plant("config.worktree"),
    ]);
    expect(await Bun.spawn([file, ...args], { cwd: "/", env: { ...env } }).exited).toBe(0);
    const commands = [`${look}; ${plant("commondir")}; ls -l /clone/.git`, look];
    for (const command of commands) {
      let asked = 0;
      world.script(() => {
        asked += 1;
        return asked === 1 ? { tools: [{ name: "Bash", input: { command } }] } : { text: "done" };
      });
      const { report } = await world.run({ clone });
      expect(report.end.kind).toBe("completed");
    }

    const results = world
      .main()
      .flatMap(({ body }) => plainMessages(body).flatMap(({ toolResults }) => toolResults));
    expect(results).toHaveLength(2);
    expect(results[0]?.text).toContain(`config.worktree -> ../../${agent}/X`);
    expect(results[0]?.text).toContain(`commondir -> ../../${agent}/X`);
    expect(results[1]?.text).toContain("No such file");
    expect(results.map(({ text }) => text).join()).not.toContain(SECRET);
  },
);
