import { serve } from "../../src/main.ts";
import { isWeakness, weaken } from "./weaken.ts";

/**
 * The service as a process with a program in the CLI's place: `serve-child.ts <config> <program>
 * [<weakness>]`. An empty program leaves the real CLI.
 */
const [configPath = "", binary = "", weakness = ""] = process.argv.slice(2);
const { PATH, HOME, LANG } = process.env;
process.exit(
  await serve({
    configPath,
    env: { PATH, HOME, LANG },
    replaced: {
      ...(binary === "" ? {} : { binary }),
      ...(isWeakness(weakness) ? weaken(weakness) : {}),
    },
  }),
);
