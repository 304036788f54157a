import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { at, callForge } from "../contract/forge-client.ts";

const MAIN = join(import.meta.dir, "..", "..", "demo", "forge", "main.ts");

test("as a process it prints its address and token in one line and ends on SIGTERM", async () => {
  const dir = await mkdtemp(join(tmpdir(), "forge-main-"));
  const child = Bun.spawn([process.execPath, MAIN, "--dir", dir, "--port", "0"], {
    stdout: "pipe",
    stderr: "inherit",
  });
  try {
    const reader = child.stdout.getReader();
    const first = await reader.read();
    const line: unknown = JSON.parse(new TextDecoder().decode(first.value));
    const token = String(at(line, "admin_token"));
    const answer = await callForge(
      String(at(line, "url")),
      { kind: "token", token },
      { method: "GET", path: "/user" },
    );

    expect(at(answer.body, "is_admin")).toBe(true);
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
  } finally {
    child.kill("SIGKILL");
    await rm(dir, { recursive: true, force: true });
  }
});

test("without a directory it says how it is used and ends with 2", async () => {
  const child = Bun.spawn([process.execPath, MAIN], { stdout: "ignore", stderr: "pipe" });
  const stderr = await new Response(child.stderr).text();

  expect(await child.exited).toBe(2);
  expect(stderr).toContain("--dir");
});
