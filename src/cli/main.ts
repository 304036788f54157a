#!/usr/bin/env bun
import { homedir } from "node:os";
import { run } from "./run.ts";
import { takesColour } from "./style.ts";

// A reader that has seen enough (`| head`) is not an error.
process.stdout.on("error", (error: Error & { code?: string }) => {
  process.exit(error.code === "EPIPE" ? 0 : 1);
});

process.exitCode = await run(process.argv.slice(2), {
  env: process.env,
  cwd: process.cwd(),
  home: homedir(),
  uid: process.getuid?.() ?? null,
  interpreter: process.execPath,
  print: (text) => process.stdout.write(text),
  printError: (text) => process.stderr.write(text),
  colour: takesColour(process.env, process.stdout.isTTY === true),
});
