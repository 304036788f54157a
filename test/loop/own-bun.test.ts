import { expect, test } from "bun:test";
import { mkdtemp, readFile, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { z } from "zod";
import { writeConfig } from "../../demo/scenario/service.ts";
import { readYaml } from "../../src/config/read-yaml.ts";
import { searchPath } from "../../src/sandbox/search-path.ts";

const Config = z.object({ repositories: z.tuple([z.object({ read: z.array(z.string()) })]) });

test("the demo brings its own bun into the sandbox: on a fresh machine there is none in the host's path", async () => {
  const dir = await mkdtemp(join(tmpdir(), "ch-own-bun-"));
  try {
    const path = await writeConfig({
      dir,
      forgeUrl: "http://127.0.0.1:1",
      tokens: new Map(),
      webhookSecret: "0123456789abcdef0123456789abcdef",
      model: { baseUrl: null, key: "sk-none" },
      sandbox: "bwrap",
      sweepSeconds: 60,
      onLog: () => undefined,
    });
    const parsed = readYaml(await readFile(path));
    if (!parsed.ok) throw new Error("the demo's configuration cannot be read");
    const [{ read }] = Config.parse(parsed.document.value).repositories;

    // Only what the demo brings counts: a bun of the host in /usr would hide that it brings none.
    const brought = searchPath(read)
      .split(":")
      .filter((place) => read.includes(dirname(place)));
    const found = Bun.which("bun", { PATH: brought.join(":") });
    const program = found === null ? "" : await realpath(found);

    expect(program).toBe(await realpath(process.execPath));
    expect(read).toContain(dirname(program));
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});
