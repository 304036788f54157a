import { z } from "zod";
import { SKILLS } from "../domain/skill.ts";
import {
  count,
  duration,
  host,
  httpUrl,
  line,
  listen,
  login,
  path,
  secret,
  usd,
} from "./schema-leaves.ts";

/** Repository paths whose change needs a person's approval of exactly that head. */
const PROTECTED_PATHS: readonly string[] = [
  ".forgejo/**",
  ".gitea/**",
  ".github/**",
  ".claude/**",
  ".claude-hooks/**",
  "CLAUDE.md",
  "AGENTS.md",
  "CODEOWNERS",
  "**/CODEOWNERS",
  // What runs code on a person's machine when the branch is checked out there.
  ".gitmodules",
  ".gitattributes",
  ".mcp.json",
  ".husky/**",
  ".githooks/**",
  // What decides whose code is installed.
  "**/package-lock.json",
  "**/npm-shrinkwrap.json",
  "**/yarn.lock",
  "**/pnpm-lock.yaml",
  "**/bun.lock",
  "**/bun.lockb",
  "**/Cargo.lock",
  "**/go.sum",
  "**/poetry.lock",
  "**/uv.lock",
  "**/Pipfile.lock",
  "**/Gemfile.lock",
  "**/composer.lock",
];

/** The model an agent works with when its entry names none. */
const DEFAULT_MODEL = "claude-opus-5-5";

const Forge = z.strictObject({
  kind: z
    .enum(["forgejo", "gitea", "github"])
    .default("forgejo")
    .describe("Which forge answers at `url`; it also selects the one family of webhook headers."),
  url: httpUrl("Address of the forge, without credentials, e.g. https://git.example.org"),
  ca_file: path("PEM file with the authority that signed the forge's certificate.")
    .nullable()
    .default(null),
  requests_per_second: count(
    1,
    1000,
    "Calls to the forge, on average; webhooks are served before sweeps.",
  ).default(10),
});

const Webhook = z.strictObject({
  listen: listen("Where deliveries arrive; port 0 takes any free one.").default("127.0.0.1:8080"),
  path: z
    .string()
    .regex(/^\/[A-Za-z0-9._~/-]{1,199}$/, {
      error: "write a path such as /webhook: a slash, then letters, digits and . _ ~ - /",
    })
    .default("/webhook")
    .describe("The only path of the public listener besides /healthz."),
  secrets: z
    .array(secret("A secret the forge signs deliveries with, at least 8 bytes."))
    .min(1, { error: "name at least one secret, e.g. [{ file: secrets/webhook }]" })
    .max(8, { error: "keep at most 8 secrets; drop those that are rotated out" })
    .describe("Any of these may have signed a delivery: several during a rotation."),
});

const Admin = z.strictObject({
  listen: listen("Where the dashboard and the admin API answer; loopback only.").default(
    "127.0.0.1:8081",
  ),
  token: secret(
    "The token of the admin API; a missing file is created with 32 random bytes.",
  ).prefault({ file: "secrets/admin" }),
  hosts: z
    .array(
      z.string().regex(/^[A-Za-z0-9.-]{1,253}(:\d{1,5})?$/, {
        error: "write a host name as the browser sends it, e.g. hooks.example.org",
      }),
    )
    .max(32)
    .default([])
    .describe("Further Host names under which a proxy reaches the admin listener."),
});

const Model = z.strictObject({
  base_url: httpUrl("Address of the model's API; requests go to <base_url>/v1/messages.")
    .nullable()
    .default(null),
  api_key: secret("Key of the Messages API; exactly one of api_key and oauth_token.").optional(),
  oauth_token: secret("OAuth token instead of an API key.").optional(),
});

const Agent = z.strictObject({
  login: line(100, "the login of the agent's account on the forge, e.g. boss").describe(
    "Login of the agent's account on the forge.",
  ),
  token: secret("Access token of that account."),
  skills: z
    .array(z.enum(SKILLS))
    .min(1, { error: `name at least one skill of ${SKILLS.join(", ")}` })
    .describe("What this agent may be asked to do."),
  model: line(200, "the name of a model, e.g. claude-opus-5-5")
    .default(DEFAULT_MODEL)
    .describe("Model of every run of this agent."),
  git: z
    .strictObject({
      name: line(200, "the author's name for commits, or null for the agent's name")
        .regex(/^[^<>]*$/, { error: "leave out < and >: git does not allow them in a name" })
        .nullable()
        .default(null)
        .describe("Author name of the agent's commits; null: the agent's name."),
      email: z
        .string()
        .regex(/^[^\s<>@]+@[^\s<>@]+$/, {
          error: "write an address such as boss@example.org, or null",
        })
        .max(254)
        .nullable()
        .default(null)
        .describe("Author address of the agent's commits; null: a no-reply address."),
    })
    .prefault({}),
});

const Repository = z.strictObject({
  name: z
    .string()
    .max(300)
    .regex(/^[A-Za-z0-9_.-]+\/(\*|[A-Za-z0-9_.-]+)$/, {
      error: "write owner/name, or owner/* for every repository of an owner",
    })
    .describe("owner/name or owner/*; the first entry that matches counts."),
  autonomy: z
    .enum(["propose", "review", "merge"])
    .describe("How far agents go alone; there is no default."),
  base: line(250, "the name of a branch, e.g. main")
    .regex(/^[^-\s~^:?*[\\][^\s~^:?*[\\]*$/, { error: "write the name of a branch, e.g. main" })
    .default("main")
    .describe("Branch that work starts from and is merged into."),
  checks: z
    .union(
      [
        z.enum(["none", "all"]),
        z.array(line(250, "the context of a commit status")).min(1).max(100),
      ],
      { error: "write none, all, or a list of at least one status context" },
    )
    .default("none")
    .describe("Commit statuses that must be green before a merge."),
  trigger: z
    .strictObject({
      assignee: z.boolean().default(true).describe("Assigning an agent starts it."),
      label: line(100, "the name of a label, or null")
        .nullable()
        .default(null)
        .describe("Label that starts the first agent that implements; null: none."),
    })
    .prefault({}),
  may_trigger: z
    .union([z.literal("write"), z.array(login()).min(1).max(1000)], {
      error: "write `write` (everybody with write access) or a list of at least one login",
    })
    .default("write")
    .describe("Who may give work to agents."),
  dangerously_allow_anyone: z
    .boolean()
    .default(false)
    .describe("Everybody may give work; agents then only read in this repository."),
  review: z
    .enum(["requested", "agents", "all"])
    .default("agents")
    .describe("Which pull requests agents review."),
  approvals: z
    .strictObject({
      any: count(0, 20, "Approvals of accounts other than the author.").default(1),
      people: count(0, 20, "How many of them must be people.").default(1),
    })
    .prefault({}),
  merge_style: z
    .enum(["merge", "rebase", "rebase-merge", "squash", "fast-forward-only"])
    .default("merge")
    .describe("How a pull request is merged."),
  protected: z
    .array(line(500, "a path pattern such as .github/**"))
    .max(200)
    .default([...PROTECTED_PATHS])
    .describe("Paths whose change needs a person's approval of exactly that head."),
  setup: z
    .string()
    .min(1, { error: "write a shell command, or null" })
    .max(4000, { error: "write at most 4000 characters; put longer set-ups into a script" })
    .nullable()
    .default(null)
    .describe(
      "Shell command run in the sandbox after cloning and when a lockfile changed; null: none.",
    ),
  network: z
    .array(host("host, host:port, *.suffix or [v6]:port, without scheme and path"))
    .max(200)
    .default([])
    .describe("Hosts the agent's commands may reach; none by default."),
  read: z
    .array(path("a path of this host, e.g. /opt/toolchain"))
    .max(50)
    .default([])
    .describe("Further paths of this host, mounted read-only into the sandbox."),
});

const Limits = z.strictObject({
  runs: count(1, 1000, "Runs at the same time.").default(4),
  runs_per_agent: count(1, 1000, "Runs of one agent at the same time.").default(2),
  runs_per_item: count(1, 10_000, "Runs on one work item since a person's last act.").default(20),
  review_rounds: count(1, 1000, "Review rounds since a person's last act.").default(3),
  failures: count(1, 1000, "Failed runs in a row before the item is parked.").default(3),
  check_rounds: count(1, 1000, "Attempts to mend checks since a person's last act.").default(3),
  checks_minutes: duration(100_000, "Longest wait for checks of a head, in minutes.").default(120),
  run_minutes: duration(10_000, "Longest run, in minutes.").default(60),
  stall_minutes: duration(10_000, "Longest silence of a run, in minutes.").default(10),
  grace_hours: duration(
    10_000,
    "How long what a finished work item left is kept, in hours.",
  ).default(24),
  usd_per_run: usd("US dollars one run may cost.").default(5),
  usd_per_item: usd("US dollars one work item may cost.").default(20),
  usd_per_day: usd("US dollars all runs of a day may cost.").default(100),
  tokens_per_day: count(1, 1e12, "Tokens all runs of a day may use; null: no limit.")
    .nullable()
    .default(null),
  resumes: count(1, 10_000, "Resumes of a session before it is rotated.").default(20),
  context_tokens: count(1000, 10_000_000, "Context size at which a session is rotated.").default(
    120_000,
  ),
  session_days: duration(10_000, "Age at which a session is rotated, in days.").default(7),
  transcript_days: duration(
    10_000,
    "How long a session is kept with its transcript while nothing uses it, in days.",
  ).default(14),
  delivery_days: duration(10_000, "How long deliveries are kept, in days.").default(30),
  body_bytes: count(1024, 268_435_456, "Largest body of a delivery, in bytes.").default(2_097_152),
  queue: count(1, 10_000_000, "Waiting deliveries before further ones are refused.").default(
    10_000,
  ),
  disk_gb: duration(1_000_000, "Disk the state directory may take, in GB.").default(20),
  disk_gb_per_repository: duration(
    1_000_000,
    "Disk that clones, cache and conversations of one repository may take, in GB; null: no limit.",
  )
    .nullable()
    .default(null),
});

/**
 * The configuration as it is written: key by key what docs/configuration.md tells. The output has
 * every default filled in; paths and secrets are still as written. What needs the disk, the
 * environment or two keys at once is checked by `loadConfig`.
 */
export const ConfigDocument = z.strictObject({
  forge: Forge,
  webhook: Webhook,
  admin: Admin.prefault({}),
  state_dir: path("Directory of everything the service keeps; CLAUDE_HOOKS_STATE_DIR wins.")
    .nullable()
    .default(null)
    .describe("Directory of everything the service keeps; null: ~/.local/state/claude-hooks."),
  skills_dir: path("Directory with prompt files that replace the built-in ones.")
    .nullable()
    .default(null),
  database: z
    .union([z.string().min(1).max(2000), secret("A PostgreSQL address.")], {
      error: "write null, an address such as postgres://user@host/name, or { file: PATH }",
    })
    .nullable()
    .default(null)
    .describe(
      "null: embedded SQLite in the state directory; else the address of a PostgreSQL database, in a file when it holds a password.",
    ),
  model: Model,
  agents: z
    .record(
      z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/, {
        error:
          "name an agent with 1 to 32 of a-z, 0-9 and -, beginning with a letter or digit, e.g. code-lead",
      }),
      Agent,
    )
    .refine((agents) => Object.keys(agents).length > 0, { error: "describe at least one agent" })
    .refine((agents) => Object.keys(agents).length <= 100, { error: "keep at most 100 agents" })
    .describe("The agents by name; everywhere else an agent is called by this name."),
  repositories: z
    .array(Repository)
    .min(1, {
      error: "describe at least one repository, e.g. - { name: acme/widgets, autonomy: propose }",
    })
    .max(1000)
    .describe("The repositories agents work in; the first entry that matches counts."),
  limits: Limits.prefault({}),
  sweep_seconds: z
    .number()
    .min(0.1, { error: "write at least 0.1 seconds" })
    .max(86_400, { error: "write at most 86400 seconds (a day)" })
    .default(60)
    .describe("Seconds between two sweeps of the forge."),
  sandbox: z
    .strictObject({
      mode: z
        .enum(["bwrap", "none"])
        .default("bwrap")
        .describe("bwrap: every agent behind walls; none: agents run as the service's own user."),
    })
    .prefault({}),
  allow_root: z.boolean().default(false).describe("Whether the service may run as root."),
});
export type ConfigDocument = z.output<typeof ConfigDocument>;
