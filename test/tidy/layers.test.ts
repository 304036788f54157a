import { describe, expect, test } from "bun:test";
import { dirname, join, normalize } from "node:path";

/**
 * The architecture as a table: which folder of src may import which. ARCHITECTURE.md explains it.
 * `packages` lists what of npm, Bun and Node a folder may use; `*` is everything.
 */
interface Layer {
  readonly imports: readonly string[];
  readonly packages: readonly string[];
}

const NODE = "node:*";
const LAYERS: Readonly<Record<string, Layer>> = {
  domain: { imports: [], packages: [] },
  ports: { imports: ["domain"], packages: [] },
  json: { imports: ["domain", "ports"], packages: [] },
  time: { imports: [], packages: [NODE] },
  config: { imports: ["domain", "ports", "json"], packages: [NODE, "yaml", "zod"] },
  observe: {
    imports: ["domain", "ports", "time"],
    packages: [NODE, "pino", "pino-pretty", "prom-client"],
  },
  forge: { imports: ["domain", "ports", "json"], packages: [NODE, "zod", "p-queue", "p-retry"] },
  git: { imports: ["domain", "ports", "json"], packages: [NODE, "execa", "p-queue"] },
  agent: {
    imports: ["domain", "ports", "json", "time"],
    packages: [NODE, "zod", "@anthropic-ai/claude-agent-sdk", "@modelcontextprotocol/sdk"],
  },
  sandbox: { imports: ["domain", "ports", "json"], packages: [NODE, "execa"] },
  gateway: { imports: ["domain", "ports", "json"], packages: [NODE, "zod", "bun"] },
  store: {
    imports: ["domain", "ports", "json"],
    packages: [NODE, "zod", "kysely", "pg", "bun:sqlite", "bun:ffi"],
  },
  intake: { imports: ["domain", "ports", "json"], packages: [NODE, "zod"] },
  work: { imports: ["domain", "ports", "json", "time"], packages: [NODE, "p-queue"] },
  sessions: { imports: ["domain", "ports", "json", "time"], packages: [NODE, "zod", "diff"] },
  run: { imports: ["domain", "ports", "json", "time", "sessions"], packages: [NODE, "execa"] },
  http: {
    imports: ["domain", "ports", "json", "config", "observe", "intake", "work", "sessions", "run"],
    packages: [NODE, "hono", "zod"],
  },
  cli: { imports: ["domain", "json", "config"], packages: [NODE, "commander", "zod"] },
  main: { imports: ["*"], packages: [NODE] },
};

/** Who may touch the outside world, by pattern in the source. */
const ONLY_IN: readonly {
  readonly what: string;
  readonly pattern: RegExp;
  readonly layers: readonly string[];
}[] = [
  { what: "parses JSON", pattern: /\bJSON\.parse\(/u, layers: ["json"] },
  {
    what: "reads the environment",
    pattern: /\b(?:process|Bun|import\.meta)\.env\b/u,
    layers: ["main", "cli"],
  },
  {
    what: "asks the clock or chance",
    pattern: /\bDate\.now\b|new Date\(\)|Math\.random\(|import \{[^}]*\brandom(?:UUID|Bytes)\b/u,
    // sessions: only the random name of a temporary file.
    layers: ["main", "sessions"],
  },
  { what: "calls fetch", pattern: /(?<![.\w])fetch\(/u, layers: ["forge", "gateway"] },
  {
    what: "starts a process",
    pattern: /from "(?:node:child_process|execa)"|\bBun\.spawn/u,
    layers: ["git", "sandbox", "agent", "run", "cli"],
  },
  { what: "speaks SQL", pattern: /from "(?:bun:sqlite|kysely)"/u, layers: ["store"] },
];

const SPECIFIER =
  /(?:^|\n)\s*(?:import|export)\b[^;"]*?from\s+"([^"]+)"|(?:^|\n)import\s+"([^"]+)"|\bimport\(\s*"([^"]+)"\s*\)/gu;

const FILES = [...new Bun.Glob("src/**/*.ts").scanSync(".")].sort();

function layerOf(path: string): string {
  return path.replace(/^src\//u, "").split(/[/.]/u)[0] ?? "";
}

function specifiers(source: string): readonly string[] {
  return [...source.matchAll(SPECIFIER)].map((match) => match[1] ?? match[2] ?? match[3] ?? "");
}

/** What a file imports against the table: names of layers and packages that it may not. */
function forbiddenImports(file: string, source: string): readonly string[] {
  const layer = LAYERS[layerOf(file)];
  if (layer === undefined) return [`no layer is called ${layerOf(file)}`];
  return specifiers(source).filter((specifier) => {
    if (!specifier.startsWith(".")) return !mayUse(layer, specifier);
    const target = normalize(join(dirname(file), specifier));
    if (target === "package.json") return false;
    // Only this one file of the command line may start the service in its own process.
    if (file === "src/cli/serve.ts" && target === "src/main.ts") return false;
    // And only this one may look at its database without it.
    if (file === "src/cli/config.ts" && target === "src/main/session-notices.ts") return false;
    // And only this one may read the state directory by itself: an audit that the service vouched for proves little.
    if (file === "src/cli/audit.ts" && target === "src/main/audit-note.ts") return false;
    // And only this one may copy a database, of a service that is stopped.
    if (file === "src/cli/migrate.ts" && target === "src/main/migrate-database.ts") return false;
    // And only this one may ask the adapters whether a set-up holds, with and without a service.
    if (file === "src/cli/doctor.ts" && target === "src/main/doctor/run-doctor.ts") return false;
    if (!target.startsWith("src/")) return true;
    const to = layerOf(target);
    return to !== layerOf(file) && !layer.imports.includes(to) && !layer.imports.includes("*");
  });
}

function mayUse(layer: Layer, specifier: string): boolean {
  return layer.packages.some((allowed) =>
    allowed === NODE
      ? specifier.startsWith("node:")
      : specifier === allowed || specifier.startsWith(`${allowed}/`),
  );
}

describe("the layers", () => {
  test("every folder of src stands in the table", () => {
    expect(FILES.length).toBeGreaterThan(100);
    expect([...new Set(FILES.map(layerOf))].filter((layer) => !(layer in LAYERS))).toEqual([]);
  });

  test.each(FILES)("%s imports only what its layer may", async (file) => {
    expect(forbiddenImports(file, await Bun.file(file).text())).toEqual([]);
  });

  test.each(FILES)("%s touches the outside world only where its layer may", async (file) => {
    const source = withoutComments(await Bun.file(file).text());
    const touched = ONLY_IN.filter(
      ({ pattern, layers }) => pattern.test(source) && !layers.includes(layerOf(file)),
    );
    expect(touched.map(({ what }) => what)).toEqual([]);
  });

  test.each([
    ["a static import", 'import { x } from "../store/open-store.ts";'],
    ["a type import", 'import type { X } from "../store/open-store.ts";'],
    ["a re-export", 'export { x } from "../store/open-store.ts";'],
    ["a dynamic import", 'const x = await import("../store/open-store.ts");'],
    ["a side effect", 'import "../store/open-store.ts";'],
    ["a package", 'import { z } from "zod";'],
    ["a part of Node", 'import { join } from "node:path";'],
    ["the demo", 'import { x } from "../../demo/main.ts";'],
    ["an import over several lines", 'import {\n  x,\n  y,\n} from "../store/open-store.ts";'],
  ])("the check sees %s in the domain", (_, source) => {
    expect(forbiddenImports("src/domain/x.ts", source)).toHaveLength(1);
  });
});

function withoutComments(source: string): string {
  return source.replace(/\/\*[\s\S]*?\*\//gu, "").replace(/(^|\s)\/\/[^\n]*/gu, "$1");
}
