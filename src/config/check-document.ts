import { readFile, stat } from "node:fs/promises";
import { sep } from "node:path";
import type { Config } from "./config.ts";
import { describeValue } from "./describe-value.ts";
import { isSecretPath, valueAt } from "./explain-issues.ts";
import { isLoopback, parseListen } from "./listen.ts";
import { type ConfigNotice, type ConfigProblem, formatKey } from "./problem.ts";
import type { ConfigFile } from "./read-config.ts";

/** What the checks found; `ca` is the authority's certificate if one is named and readable. */
export interface DocumentCheck {
  readonly problems: readonly ConfigProblem[];
  readonly notices: readonly ConfigNotice[];
  readonly ca: Config["forge"]["ca"];
}

type Refuse = (path: readonly PropertyKey[], remedy: string) => void;

/**
 * Rules about two keys at once, about this release and about this host. `uid` is the user id of the
 * process (null: the system has none), `kept` are paths that agents must not see beside the files of
 * secrets. Secrets are read and judged elsewhere.
 */
export async function checkDocument(
  source: ConfigFile,
  { uid, kept }: { readonly uid: number | null; readonly kept: readonly string[] },
): Promise<DocumentCheck> {
  const problems: ConfigProblem[] = [];
  const notices: ConfigNotice[] = [];
  const refuse: Refuse = (path, remedy) => {
    const value = describeValue(valueAt(source.written.value, path), isSecretPath(path));
    problems.push({ key: formatKey(path), value, remedy, line: source.written.lineOf(path) });
  };
  checkNotBuilt(source, refuse);
  checkListeners(source, refuse);
  checkModel(source, refuse);
  checkAgents(source, refuse);
  checkRepositories(source, { kept, refuse, notices });
  if (uid === 0 && !source.document.allow_root) {
    const remedy =
      "run the service as a user of its own, or set allow_root: true if you mean to run it as root";
    const line = source.written.lineOf(["allow_root"]);
    problems.push({ key: "allow_root", value: "false while running as root", remedy, line });
  }
  checkRisks(source, notices);
  await checkSkillsDir(source, refuse);
  const ca = await readCa(source, refuse);
  return { problems, notices, ca };
}

function checkNotBuilt({ document }: ConfigFile, refuse: Refuse): void {
  if (document.forge.kind === "github") {
    refuse(["forge", "kind"], "GitHub is not built yet; use forgejo or gitea");
  }
  if (document.database !== null && document.sandbox.mode === "none") {
    refuse(
      ["sandbox", "mode"],
      "write bwrap: without walls an agent could reach the database that several hosts trust",
    );
  }
}

function checkListeners({ document }: ConfigFile, refuse: Refuse): void {
  const webhook = parseListen(document.webhook.listen);
  const admin = parseListen(document.admin.listen);
  if (document.webhook.path === "/healthz") {
    refuse(
      ["webhook", "path"],
      "choose another path: /healthz answers whether the service is alive",
    );
  }
  if (!isLoopback(admin.host)) {
    refuse(
      ["admin", "listen"],
      "listen on loopback only, e.g. 127.0.0.1:8081, and put a proxy with TLS in front (admin.hosts)",
    );
  }
  if (webhook.port !== 0 && webhook.port === admin.port && webhook.host === admin.host) {
    refuse(["admin", "listen"], "use another port than webhook.listen");
  }
}

function checkModel({ document }: ConfigFile, refuse: Refuse): void {
  const { api_key, oauth_token, base_url } = document.model;
  if (api_key === undefined && oauth_token === undefined) {
    refuse(
      ["model", "api_key"],
      "name exactly one of api_key and oauth_token, e.g. api_key: { file: secrets/anthropic }",
    );
  }
  if (api_key !== undefined && oauth_token !== undefined) {
    refuse(["model", "oauth_token"], "keep exactly one of api_key and oauth_token");
  }
  if (base_url !== null && /\/v1(\/messages)?\/*$/.test(base_url)) {
    refuse(["model", "base_url"], "leave out /v1: requests go to <base_url>/v1/messages");
  }
}

function checkAgents({ document }: ConfigFile, refuse: Refuse): void {
  const owners = new Map<string, string>();
  for (const [name, agent] of Object.entries(document.agents)) {
    const login = agent.login.toLowerCase();
    const owner = owners.get(login);
    if (owner !== undefined) {
      refuse(
        ["agents", name, "login"],
        `give every agent an account of its own; agent ${owner} has this login`,
      );
    }
    owners.set(login, name);
  }
}

function checkRepositories(
  source: ConfigFile,
  parts: {
    readonly kept: readonly string[];
    readonly refuse: Refuse;
    readonly notices: ConfigNotice[];
  },
): void {
  const { kept, refuse, notices } = parts;
  const seen: string[] = [];
  for (const [index, entry] of source.document.repositories.entries()) {
    const name = entry.name.toLowerCase();
    const path = ["repositories", index];
    if (seen.includes(name)) {
      refuse([...path, "name"], "keep one entry per name: the first one counts");
    } else if (seen.includes(`${name.slice(0, name.indexOf("/"))}/*`)) {
      const key = formatKey([...path, "name"]);
      notices.push({ key, message: `${key}: an earlier owner/* entry counts for ${entry.name}` });
    }
    seen.push(name);
    if (entry.dangerously_allow_anyone) checkAnyone(entry, path, { refuse, notices });
    for (const [position, text] of entry.read.entries()) {
      const remedy = whyNotReadable(source.path(text), source, kept);
      if (remedy !== null) {
        refuse([...path, "read", position], remedy);
      }
    }
  }
}

function checkAnyone(
  entry: ConfigFile["document"]["repositories"][number],
  path: readonly PropertyKey[],
  { refuse, notices }: { refuse: Refuse; notices: ConfigNotice[] },
): void {
  const key = formatKey([...path, "dangerously_allow_anyone"]);
  if (entry.may_trigger !== "write") {
    refuse(
      [...path, "may_trigger"],
      "leave it out, or dangerously_allow_anyone: only one can hold",
    );
  }
  notices.push({
    key,
    message: `${key}: anybody on the forge gives work in ${entry.name}, at your cost; agents only read there`,
  });
}

/** Why a host path must not be shown to agents, or null. */
function whyNotReadable(path: string, source: ConfigFile, more: readonly string[]): string | null {
  if (/^\/(proc|sys|dev|run)?(\/|$)/.test(path)) {
    return "name a directory with tools: /, /proc, /sys, /dev and /run are not shown to agents";
  }
  const kept = [source.stateDir, ...secretFiles(source), ...more].find(
    (secret) => contains(path, secret) || contains(source.stateDir, path),
  );
  return kept === undefined
    ? null
    : `name another path: ${kept} would be shown to agents; it holds what they must not see`;
}

function secretFiles({ document, secretSource }: ConfigFile): string[] {
  const references = [
    ...document.webhook.secrets,
    document.admin.token,
    ...Object.values(document.agents).map((agent) => agent.token),
    ...[document.model.api_key, document.model.oauth_token].filter((one) => one !== undefined),
    ...(document.database === null || typeof document.database === "string"
      ? []
      : [document.database]),
  ];
  return references.flatMap((reference) => {
    const found = secretSource(reference);
    return "file" in found ? [found.file] : [];
  });
}

function contains(directory: string, path: string): boolean {
  return path === directory || path.startsWith(directory + sep);
}

/** What is allowed and yet worth a line at every start. */
function checkRisks({ document }: ConfigFile, notices: ConfigNotice[]): void {
  if (document.sandbox.mode === "none") {
    notices.push({
      key: "sandbox.mode",
      message:
        "sandbox.mode is none: agents run without a sandbox, with everything the service's user may do",
    });
  }
  for (const [key, url] of [
    ["forge.url", document.forge.url],
    ["model.base_url", document.model.base_url],
  ] as const) {
    if (url !== null && new URL(url).protocol === "http:" && !isLoopback(new URL(url).hostname)) {
      const message = `${key} is not encrypted: credentials cross the network in the clear; use https`;
      notices.push({ key, message });
    }
  }
}

async function checkSkillsDir(source: ConfigFile, refuse: Refuse): Promise<void> {
  const { skills_dir } = source.document;
  if (skills_dir !== null && !(await isDirectory(source.path(skills_dir)))) {
    refuse(
      ["skills_dir"],
      `name a directory with prompt files, or null; looked at ${source.path(skills_dir)}`,
    );
  }
}

async function readCa(source: ConfigFile, refuse: Refuse): Promise<Config["forge"]["ca"]> {
  const { ca_file } = source.document.forge;
  if (ca_file === null) {
    return null;
  }
  const file = source.path(ca_file);
  const pem = await readText(file);
  if (!pem.includes("-----BEGIN CERTIFICATE-----")) {
    refuse(["forge", "ca_file"], `name a readable PEM file with a certificate; looked at ${file}`);
    return null;
  }
  return { file, pem };
}

/** Text of a file of at most 1 MiB, empty when it cannot be read. */
async function readText(file: string): Promise<string> {
  try {
    return (await stat(file)).size > 1_048_576 ? "" : await readFile(file, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error) {
      return "";
    }
    throw error;
  }
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    if (error instanceof Error && "code" in error) {
      return false;
    }
    throw error;
  }
}
