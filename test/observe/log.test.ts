import { expect, test } from "bun:test";
import { fileURLToPath } from "node:url";
import { parseJson } from "../../src/json/parse.ts";
import { createLog, type LogOptions } from "../../src/observe/log.ts";
import { createRedactor } from "../../src/observe/redactor.ts";

function capture(options: Partial<LogOptions> = {}) {
  const lines: string[] = [];
  const log = createLog({
    redactor: createRedactor(["hunter22hunter22"]),
    format: "json",
    colour: false,
    level: "info",
    stream: { write: (line) => lines.push(line) },
    ...options,
  });
  return { log, lines };
}

test("a line is one JSON object with the level as a word and the time as ISO 8601", () => {
  const { log, lines } = capture();

  log.info("resuming session", { session: "s-1", repo: "acme/widgets", number: 42 });

  expect(lines).toHaveLength(1);
  expect(lines[0]).toEndWith("}\n");
  const line = parseJson(lines[0] ?? "") as Record<string, unknown>;
  expect(line).toEqual({
    level: "info",
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    msg: "resuming session",
    session: "s-1",
    repo: "acme/widgets",
    number: 42,
  });
});

test("lines below the level are not written", () => {
  const { log, lines } = capture({ level: "warn" });

  log.debug("a");
  log.info("b");
  log.warn("c");
  log.error("d");

  expect(lines.map((line) => (parseJson(line) as { level: string }).level)).toEqual([
    "warn",
    "error",
  ]);
});

test("message and fields pass through the redactor, whatever the format", () => {
  for (const format of ["json", "pretty"] as const) {
    const { log, lines } = capture({ format });

    log.error("cannot push with hunter22hunter22", {
      error: new Error("https://bob:hunter22hunter22@git.example.org failed"),
      deep: { list: ["hunter22hunter22"] },
    });

    expect(lines.join("")).not.toContain("hunter22");
    expect(lines.join("")).not.toContain("bob");
    expect(lines.join("")).toContain("[secret]");
  }
});

test("a field cannot take the place of level, time or message", () => {
  const { log, lines } = capture();

  log.info("real", { msg: "forged", level: "forged", time: "forged" });

  expect(lines[0]?.match(/"msg"/g)).toHaveLength(1);
  expect(parseJson(lines[0] ?? "")).toMatchObject({ msg: "real", msg_: "forged", level: "info" });
});

test("on a terminal the session follows the message", () => {
  const { log, lines } = capture({ format: "pretty" });

  log.info("resuming session", { session: "s-1" });
  log.info("starting session", { session: "s-2" });
  log.info("run ended", { session: "s-3" });

  expect(lines[0]).toMatch(/INFO.*: resuming session s-1 /);
  expect(lines[1]).toContain("starting session s-2");
  expect(lines[2]).not.toContain("run ended s-3");
});

test("colours are used only when they are wanted", () => {
  const plain = capture({ format: "pretty", colour: false });
  const coloured = capture({ format: "pretty", colour: true });

  plain.log.info("hello");
  coloured.log.info("hello");

  expect(plain.lines.join("")).not.toContain("\u001b[");
  expect(coloured.lines.join("")).toContain("\u001b[");
});

test("the log goes to standard error, and a reader that went away ends nothing", async () => {
  const place = (name: string) => fileURLToPath(new URL(`../../src/${name}`, import.meta.url));
  const script = `
    import { createLog, standardError } from ${JSON.stringify(place("observe/log.ts"))};
    import { createRedactor } from ${JSON.stringify(place("observe/redactor.ts"))};
    const log = createLog({ redactor: createRedactor([]), format: "json", colour: false,
      level: "info", stream: standardError() });
    for (let i = 0; i < 2000; i += 1) log.info("line", { i });
    process.stdout.write("alive");`;
  const run = async (redirect: string) => {
    const child = Bun.spawn(["sh", "-c", `"$0" -e "$1" ${redirect}`, process.execPath, script], {
      stdout: "pipe",
      stderr: "pipe",
    });
    const out = await new Response(child.stdout).text();
    const errors = await new Response(child.stderr).text();
    return { out, errors, code: await child.exited };
  };

  const piped = await run("");
  const closed = await run("2>&-");

  expect(piped.out).toBe("alive");
  expect(piped.errors.trim().split("\n")).toHaveLength(2000);
  expect(closed).toMatchObject({ out: "alive", code: 0 });
});
