import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdir, mkdtemp, rename, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { dropTranscript } from "../../src/agent/drop-transcript.ts";
import { readTranscript } from "../../src/agent/read-transcript.ts";

const ID = "0b0e7f0e-6a4f-4a53-8f0e-0123456789ab";
const SECRET = "sk-ant-very-secret";
const redact = (text: string): string => text.replaceAll(SECRET, "[secret]");
let home = "";
let file = "";
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "ch-read-"));
  await mkdir(join(home, "projects/-clone"), { recursive: true });
  file = join(home, `projects/-clone/${ID}.jsonl`);
});
afterEach(() => rm(home, { recursive: true, force: true }));

const line = (type: string, content: unknown): string =>
  JSON.stringify({ type, timestamp: "2026-11-20T10:00:00.000Z", message: { role: type, content } });
const write = (...lines: readonly string[]) => Bun.write(file, `${lines.join("\n")}\n`);

describe("a transcript for people", () => {
  test("holds words, calls and results with their roles, and leaves out what is no message", async () => {
    await write(
      JSON.stringify({ type: "queue-operation", content: "not said" }),
      line("user", "Mend it."),
      "garbage{{{",
      line("assistant", [
        { type: "thinking", thinking: "hidden" },
        { type: "text", text: "I look." },
        { type: "tool_use", id: "t", name: "Bash", input: { command: "ls" } },
      ]),
      line("user", [
        { type: "tool_result", tool_use_id: "t", content: [{ type: "text", text: "a.ts" }] },
        { type: "tool_result", tool_use_id: "u", content: "no", is_error: true },
      ]),
      '{"type":"user","message":{"content":7}}',
    );

    const at = "2026-11-20T10:00:00.000Z";
    expect(await readTranscript(home, ID, redact)).toBe(
      [
        `--- user ${at}\nMend it.`,
        `--- assistant ${at}\n(thinking)\nI look.\n> Bash {"command":"ls"}`,
        `--- user ${at}\n< a.ts\n< error: no`,
      ].join("\n\n"),
    );
  });

  test("shows no secret, not even one that the cut goes through", async () => {
    await write(
      line("user", `${"x".repeat(2040)}${SECRET}`),
      line("assistant", [
        { type: "text", text: SECRET },
        { type: "tool_use", id: "t", name: SECRET, input: { [SECRET]: SECRET } },
        { type: SECRET },
      ]),
      line("user", [{ type: "tool_result", content: SECRET }]),
    );

    const text = (await readTranscript(home, ID, redact)) ?? "";

    expect(text).toContain("[secret]");
    expect(text).not.toContain("sk-ant");
  });

  test("cuts each piece at 2 kB, whole characters", async () => {
    await write(line("user", "語".repeat(3000)));

    const text = (await readTranscript(home, ID, redact)) ?? "";

    expect(text).toContain(`${"語".repeat(682)}… (9000 bytes)`);
    expect(text).not.toContain("\uFFFD");
  });

  test("of more than 1 MB gives the end, and says so", async () => {
    const all = Array.from({ length: 2000 }, (_, n) => line("user", `${n} ${"y".repeat(1500)}`));
    await write(...all);

    const text = (await readTranscript(home, ID, redact)) ?? "";

    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(1_048_576);
    expect(text).toStartWith("(what was said before is left out)");
    expect(text).toContain("\n1999 yyy");
    expect(text).not.toContain("\n0 yyy");
  });

  test("is none behind a link, and nothing behind a link is deleted", async () => {
    await write(line("user", "of somebody else"));
    const elsewhere = join(home, "elsewhere");
    await rename(join(home, "projects/-clone"), elsewhere);
    await symlink(elsewhere, join(home, "projects/-clone"));

    expect(await readTranscript(home, ID, redact)).toBeNull();
    expect(await dropTranscript(home, ID)).toBe(0);
    expect(await Bun.file(join(elsewhere, `${ID}.jsonl`)).exists()).toBe(true);
  });

  test("is none of another id or of no id", async () => {
    await write(line("user", "x"));

    expect(await readTranscript(home, ID.replace("0b", "1b"), redact)).toBeNull();
    expect(await readTranscript(home, "../../x", redact)).toBeNull();
  });
});

test("a dropped transcript is gone, and only that one", async () => {
  const other = join(home, `projects/-clone/${ID.replace("0b", "1b")}.jsonl`);
  await write("{}");
  await Bun.write(other, "{}");

  expect(await dropTranscript(home, ID)).toBe(1);
  expect(await Bun.file(file).exists()).toBe(false);
  expect(await Bun.file(other).exists()).toBe(true);
});
