import { checkDocument } from "./check-document.ts";
import type { AgentConfig, Config, RepositoryConfig, ServiceLimits } from "./config.ts";
import { databaseFiles, databaseProblem } from "./database.ts";
import type { ConfigPlace } from "./find-config.ts";
import { parseListen } from "./listen.ts";
import { notInForce } from "./not-in-force.ts";
import { type ConfigNotice, type ConfigProblem, formatKey } from "./problem.ts";
import { type ConfigFile, type ConfigRefused, readConfig } from "./read-config.ts";
import type { ConfigDocument } from "./schema.ts";
import type { SecretReference } from "./schema-leaves.ts";
import { readSecret, Secret } from "./secret.ts";

/** `uid`: of the process, or null where the system has none. */
export interface LoadOptions extends ConfigPlace {
  readonly uid: number | null;
}

/** A configuration that holds, with what is worth saying at every start; else every problem that was found. */
export type ConfigResult =
  | { readonly ok: true; readonly config: Config; readonly notices: readonly ConfigNotice[] }
  | ConfigRefused;

const ANTHROPIC_API = "https://api.anthropic.com";
const WEBHOOK_SECRET_BYTES_MIN = 8;
/** Guesses with a bearer token are not counted: it must be out of reach of guessing. */
const ADMIN_TOKEN_BYTES_MIN = 16;

/**
 * Reads the configuration and everything it refers to (secrets, CA file) and judges it as a whole.
 * Writes nothing and keeps nothing, so a reload is the same call again. Never throws for a
 * configuration that is wrong: the result lists every problem.
 */
export async function loadConfig(options: LoadOptions): Promise<ConfigResult> {
  const read = await readConfig(options);
  if (!read.ok) {
    return read;
  }
  const source = read.value;
  const secrets = await readSecrets(source, options.env);
  const kept = secrets.database === null ? [] : databaseFiles(secrets.database.reveal());
  const checked = await checkDocument(source, { uid: options.uid, kept });
  const problems = [...checked.problems, ...secrets.problems];
  const { admin, model } = secrets;
  if (problems.length > 0 || admin === null || model === null) {
    return { ok: false, file: source.file, problems };
  }
  const notices = [
    ...checked.notices,
    ...secrets.notices,
    ...notInForce(source.written.value, source.document),
  ];
  const config = build(source, { ...secrets, admin, model }, checked.ca);
  return { ok: true, config, notices };
}

interface ReadSecrets {
  readonly webhook: readonly Secret[];
  readonly admin: Config["admin"]["token"] | null;
  readonly model: Config["model"]["credential"] | null;
  readonly database: Config["database"];
  readonly agents: ReadonlyMap<string, Secret>;
}

async function readSecrets(
  source: ConfigFile,
  env: LoadOptions["env"],
): Promise<
  ReadSecrets & {
    readonly problems: readonly ConfigProblem[];
    readonly notices: readonly ConfigNotice[];
  }
> {
  const { document } = source;
  const problems: ConfigProblem[] = [];
  const notices: ConfigNotice[] = [];
  const read = async (path: readonly PropertyKey[], reference: SecretReference, minimum = 1) => {
    const key = formatKey(path);
    const line = source.written.lineOf(path);
    const answer = await readSecret(source.secretSource(reference), env);
    if (!answer.ok) {
      problems.push({ key, value: answer.value, remedy: answer.remedy, line });
      return null;
    }
    if (answer.secret.bytes < minimum) {
      const remedy = `use at least ${minimum} bytes, better 32 random ones`;
      problems.push({ key, value: `a secret of ${answer.secret.bytes} bytes`, remedy, line });
    }
    if (answer.worldReadable) {
      notices.push({ key, message: `${key}: everybody on this host can read the file; chmod 600` });
    }
    return answer.secret;
  };
  const webhook: Secret[] = [];
  for (const [index, reference] of document.webhook.secrets.entries()) {
    const secret = await read(["webhook", "secrets", index], reference, WEBHOOK_SECRET_BYTES_MIN);
    webhook.push(...(secret === null ? [] : [secret]));
  }
  const agents = new Map<string, Secret>();
  for (const [name, agent] of Object.entries(document.agents)) {
    const secret = await read(["agents", name, "token"], agent.token);
    if (secret !== null) {
      agents.set(name, secret);
    }
  }
  const admin = await readAdminToken(source, env, () =>
    read(["admin", "token"], document.admin.token, ADMIN_TOKEN_BYTES_MIN),
  );
  const model = await readModel(document, (key, reference) => read(["model", key], reference));
  const database = await readDatabase(source, problems, (key) => read(["database"], key));
  return { webhook, agents, admin, model, database, problems, notices };
}

/** The address of a database: in the file itself without a password, else wherever secrets are. */
async function readDatabase(
  { document, file, written }: ConfigFile,
  problems: ConfigProblem[],
  read: (reference: SecretReference) => Promise<Secret | null>,
): Promise<Secret | null> {
  const { database } = document;
  if (database === null) return null;
  const isInline = typeof database === "string";
  const address = isInline ? new Secret(database, { file }) : await read(database);
  const problem = address === null ? null : databaseProblem(address.reveal(), isInline);
  if (problem !== null) {
    problems.push({ key: "database", ...problem, line: written.lineOf(["database"]) });
  }
  return address;
}

/** A missing token file is no problem: it is created when the service starts. */
async function readAdminToken(
  source: ConfigFile,
  env: LoadOptions["env"],
  read: () => Promise<Secret | null>,
): Promise<Config["admin"]["token"] | null> {
  const reference = source.secretSource(source.document.admin.token);
  if ("file" in reference) {
    const answer = await readSecret(reference, env);
    if (!answer.ok && answer.missing) {
      return { kind: "missing", path: reference.file };
    }
  }
  const secret = await read();
  return secret === null ? null : { kind: "present", secret };
}

async function readModel(
  document: ConfigDocument,
  read: (key: "api_key" | "oauth_token", reference: SecretReference) => Promise<Secret | null>,
): Promise<Config["model"]["credential"] | null> {
  for (const kind of ["api_key", "oauth_token"] as const) {
    const reference = document.model[kind];
    if (reference !== undefined) {
      const secret = await read(kind, reference);
      return secret === null ? null : { kind, secret };
    }
  }
  return null;
}

function build(
  source: ConfigFile,
  secrets: Omit<ReadSecrets, "admin" | "model"> & {
    readonly [K in "admin" | "model"]: NonNullable<ReadSecrets[K]>;
  },
  ca: Config["forge"]["ca"],
): Config {
  const { document, path } = source;
  return {
    file: source.file,
    stateDir: source.stateDir,
    skillsDir: document.skills_dir === null ? null : path(document.skills_dir),
    forge: {
      kind: document.forge.kind === "gitea" ? "gitea" : "forgejo",
      url: withoutSlash(document.forge.url),
      ca,
      requestsPerSecond: document.forge.requests_per_second,
    },
    webhook: {
      listen: parseListen(document.webhook.listen),
      path: document.webhook.path,
      secrets: secrets.webhook,
    },
    admin: {
      listen: parseListen(document.admin.listen),
      token: secrets.admin,
      hosts: document.admin.hosts.map((host) => host.toLowerCase()),
    },
    model: {
      baseUrl: withoutSlash(document.model.base_url ?? ANTHROPIC_API),
      credential: secrets.model,
    },
    database: secrets.database,
    agents: buildAgents(document, secrets.agents),
    repositories: document.repositories.map((entry) => buildRepository(entry, path)),
    limits: buildLimits(document.limits),
    sweepSeconds: document.sweep_seconds,
    sandbox: document.sandbox.mode,
    allowRoot: document.allow_root,
    document,
  };
}

function buildAgents(
  document: ConfigDocument,
  tokens: ReadonlyMap<string, Secret>,
): readonly AgentConfig[] {
  return Object.entries(document.agents).flatMap(([name, agent]) => {
    const token = tokens.get(name);
    return token === undefined
      ? []
      : [
          {
            name,
            login: agent.login,
            token,
            skills: [...new Set(agent.skills)],
            model: agent.model,
            git: { name: agent.git.name ?? name, email: agent.git.email },
          },
        ];
  });
}

function buildRepository(
  entry: ConfigDocument["repositories"][number],
  path: (text: string) => string,
): RepositoryConfig {
  return {
    pattern: entry.name.toLowerCase(),
    policy: {
      autonomy: entry.autonomy,
      base: entry.base,
      checks: entry.checks,
      trigger: entry.trigger,
      mayTrigger: entry.dangerously_allow_anyone ? "anyone" : entry.may_trigger,
      review: entry.review,
      approvals: entry.approvals,
      mergeStyle: entry.merge_style,
      protectedPaths: entry.protected,
    },
    setup: entry.setup,
    network: entry.network.map((host) => host.toLowerCase()),
    read: entry.read.map(path),
  };
}

function buildLimits(limits: ConfigDocument["limits"]): ServiceLimits {
  return {
    runs: limits.runs,
    runsPerAgent: limits.runs_per_agent,
    runsPerItem: limits.runs_per_item,
    reviewRounds: limits.review_rounds,
    failures: limits.failures,
    checkRounds: limits.check_rounds,
    checksMinutes: limits.checks_minutes,
    runMinutes: limits.run_minutes,
    stallMinutes: limits.stall_minutes,
    graceHours: limits.grace_hours,
    usdPerRun: limits.usd_per_run,
    usdPerItem: limits.usd_per_item,
    usdPerDay: limits.usd_per_day,
    tokensPerDay: limits.tokens_per_day,
    resumes: limits.resumes,
    contextTokens: limits.context_tokens,
    sessionDays: limits.session_days,
    transcriptDays: limits.transcript_days,
    deliveryDays: limits.delivery_days,
    bodyBytes: limits.body_bytes,
    queue: limits.queue,
    diskGb: limits.disk_gb,
    diskGbPerRepository: limits.disk_gb_per_repository,
  };
}

function withoutSlash(url: string): string {
  return url.replace(/\/+$/, "");
}
