import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { playDemo, removeDemo } from "./scenario/demo.ts";
import { sentenceOf } from "./scenario/story.ts";
import { REPO } from "./scenario/widgets.ts";

const USAGE = `usage: demo [--keep] [--live] [--json]

Plays the whole loop of one issue on an embedded forge and tells it line by line.
Exit 0 only if the forge shows the pull request merged.

  --keep   stay up when it is done, until Ctrl-C
  --live   use a real model with the key from ANTHROPIC_API_KEY
  --json   print JSON lines
  --help   print this`;

/**
 * `script/demo`: the whole loop of one issue, told line by line. Exit 0 only if the forge shows the
 * pull request merged.
 */
async function main(): Promise<number> {
  const values = readFlags();
  if (values === null || values.help) {
    (values === null ? console.error : console.log)(USAGE);
    return values === null ? 2 : 0;
  }
  const liveKey = values.live ? (process.env["ANTHROPIC_API_KEY"] ?? "") : null;
  if (liveKey === "") {
    console.error("demo: --live needs a key in ANTHROPIC_API_KEY");
    return 2;
  }
  const dir = await mkdtemp(join(tmpdir(), "claude-hooks-demo-"));
  const begin = performance.now();
  const told = { deliveries: 0, runs: 0, resumes: 0 };
  let first: number | null = null;
  const tell = (event: { kind: string }, sentence: string | null): void => {
    first ??= performance.now();
    const t = Math.round(performance.now() - first);
    if (values.json) console.log(JSON.stringify({ t, ...event }));
    else if (sentence !== null) console.log(`${(t / 1000).toFixed(2).padStart(6)}  ${sentence}`);
  };
  const result = await playDemo({
    dir,
    liveKey,
    onNote: (note) => (values.json ? console.error(note) : tell({ kind: "note" }, note)),
    onEvent: (event) => {
      if (event.kind === "delivery") told.deliveries += 1;
      if (event.kind === "run_started") told.runs += 1;
      if (event.kind === "run_started" && event["resumed"] === true) told.resumes += 1;
      tell(event, sentenceOf(event));
    },
  });
  const seconds = (performance.now() - begin) / 1000;
  if (values.keep && result.pull !== null) await keepUp(dir, result.admin);
  await result.stop();
  if (!values.keep) await removeDemo(dir);
  if (result.pull === null) {
    if (values.json) tell({ kind: "done", ...{ ok: false, problem: result.problem } }, null);
    console.error(`demo: failed: ${result.problem ?? "unknown"}`);
    return 1;
  }
  if (values.json) tell({ kind: "done", ...{ ok: true, pull: result.pull } }, null);
  else {
    console.log(
      `demo: merged ${REPO}#${result.pull} in ${seconds.toFixed(1)} s (${told.deliveries} deliveries, ${told.runs} runs, ${told.resumes} resumed)`,
    );
  }
  return 0;
}

/** Null, with what is wrong said, for a command line that is none. */
function readFlags() {
  try {
    return parseArgs({
      options: {
        keep: { type: "boolean", default: false },
        live: { type: "boolean", default: false },
        json: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    }).values;
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    console.error(`demo: ${error.message}`);
    return null;
  }
}

async function keepUp(dir: string, admin: string | null): Promise<void> {
  console.error(`demo: kept up in ${dir}, dashboard ${admin ?? ""}; Ctrl-C ends it`);
  await new Promise<void>((resolve) => {
    process.once("SIGINT", () => resolve());
    process.once("SIGTERM", () => resolve());
  });
}

process.exit(await main());
