import type { Config, RepositoryConfig } from "../../config/config.ts";
import { isLoopback } from "../../config/listen.ts";
import type { ForgeInspector, HookFacts } from "../../forge/inspect-forge.ts";
import { unreadable } from "./check-rules.ts";
import { ask, type Finding } from "./finding.ts";
import { tried } from "./tried.ts";

/** Where a hook has to lead. */
export interface HookTarget {
  readonly kind: Config["forge"]["kind"];
  readonly listen: Config["webhook"]["listen"];
  /** The port in use; null: any free one, and no service is running. */
  readonly port: number | null;
  readonly path: string;
}

/** Types of events, as a hook's list names them, without which news come as late as the next sweep. */
const NEEDED = [
  "issues",
  "issue_assign",
  "issue_label",
  "issue_comment",
  "pull_request",
  "pull_request_comment",
  "pull_request_review_approved",
  "pull_request_review_rejected",
  "pull_request_review_comment",
  "pull_request_review_request",
  "pull_request_sync",
  "push",
  "create",
  "delete",
];
/** Those that tell of checks; Forgejo before 13.0.3 cannot be asked for them by its API. */
const CHECKS: Readonly<Record<HookTarget["kind"], readonly string[]>> = {
  forgejo: ["action_run_success", "action_run_failure", "action_run_recover"],
  gitea: ["status", "workflow_run"],
};
/** What sends the headers that are read; others send a chat message. */
const TYPES = ["forgejo", "gitea", "gogs"];
const URLS_MAX = 5;
const MAKE_ANEW = "delete it and make it as the README says (an edit resets its events)";

/** Whether the repository has a hook that leads here, and tells what is needed. */
export async function checkHooks(
  { pattern: repo }: RepositoryConfig,
  { admin, hookTarget }: { readonly admin: ForgeInspector | null; readonly hookTarget: HookTarget },
): Promise<readonly Finding[]> {
  const question = ask("repository.hook", "does a webhook lead here, and tell enough?", { repo });
  if (admin === null) {
    const remedy = "give --admin-token-file a token of somebody who administrates the repository";
    return [question.unchecked("only an administrator may read the hooks", remedy)];
  }
  const [own, wider] = await Promise.all([
    tried(async () => await admin.hooks(repo)),
    tried(async () => await admin.ownerHooks(repo.split("/")[0] ?? "")),
  ]);
  if (!own.ok) return [question.unchecked(unreadable(own))];
  const all = [...own.value, ...(wider.ok ? wider.value : [])];
  const here = all.filter((hook) => leadsHere(hook, hookTarget));
  // Without an answer about the owner's there may be one among them.
  if (here.length === 0 && !wider.ok && wider.failure.kind === "unavailable") {
    return [question.unchecked(wider.words)];
  }
  if (here.length === 0) return [noHook(repo, all, { hookTarget, sawOwner: wider.ok })];
  const looks = here.map((hook) => ({ hook, faults: faultsOf(hook, hookTarget) }));
  // One that is in order is enough.
  const best = looks.find(({ faults }) => faults.problems.length === 0) ?? looks[0];
  const { problems = [], warnings = [] } = best?.faults ?? {};
  const name = `hook ${best?.hook.id} (${shownUrl(best?.hook.url ?? "")})`;
  const findings = [
    ...problems.map(([found, remedy]) => question.problem(`${name} ${found}`, remedy)),
    ...warnings.map(([found, remedy]) => question.warning(`${name} ${found}`, remedy)),
  ];
  const active = here.filter(({ isActive }) => isActive);
  if (active.length > 1) {
    findings.push(
      question.warning(
        `${active.length} hooks lead here: everything is delivered so many times`,
        `keep one of ${active.map(({ id }) => id).join(", ")}`,
      ),
    );
  }
  return findings.length > 0
    ? findings
    : [question.ok(`${name} is active and tells what is needed`)];
}

function noHook(
  repo: string,
  all: readonly HookFacts[],
  { hookTarget, sawOwner }: { readonly hookTarget: HookTarget; readonly sawOwner: boolean },
): Finding {
  const { listen, port, path } = hookTarget;
  const question = ask("repository.hook", "does a webhook lead here, and tell enough?", { repo });
  const urls = all.slice(0, URLS_MAX).map(({ url }) => shownUrl(url));
  const others = urls.length === 0 ? "it has none" : `they lead to ${urls.join(", ")}`;
  const unseen = sawOwner ? "" : "; hooks of the owner could not be looked at";
  const place = `http://${listen.host}:${port ?? "<port>"}${path}`;
  return question.problem(
    `no hook of ${repo} leads to ${place}: ${others}${unseen}`,
    `make one as the README says, with the address under which the forge reaches ${place} (a proxy must keep the path)`,
  );
}

/**
 * The path is ours; the host may be that of a proxy in front. On loopback nothing stands between, so
 * the port must be right, too.
 */
function leadsHere({ url }: HookFacts, { listen, port, path }: HookTarget): boolean {
  if (!URL.canParse(url)) return false;
  const target = new URL(url);
  if (target.pathname !== path) return false;
  if (!isLoopback(target.hostname) || !isLoopback(listen.host) || port === null) return true;
  const portOf =
    target.port === "" ? (target.protocol === "https:" ? 443 : 80) : Number(target.port);
  return portOf === port;
}

type Faults = Readonly<
  Record<"problems" | "warnings", (readonly [found: string, remedy: string])[]>
>;

function faultsOf(hook: HookFacts, { kind, listen }: HookTarget): Faults {
  const faults: Faults = { problems: [], warnings: [] };
  const { problems, warnings } = faults;
  if (!hook.isActive) problems.push(["is not active", "activate it in the repository's settings"]);
  if (hook.contentType !== "json") {
    problems.push([
      `sends ${hook.contentType}, which is refused`,
      "choose application/json as its content type",
    ]);
  }
  if (!TYPES.includes(hook.type)) {
    problems.push([
      `is of the type ${hook.type}, which sends no events`,
      `make one of type ${kind}`,
    ]);
  }
  const missing = NEEDED.filter((event) => !hook.events.includes(event));
  if (missing.length > 0) problems.push([`does not tell of ${missing.join(", ")}`, MAKE_ANEW]);
  const checks = CHECKS[kind].filter((event) => !hook.events.includes(event));
  if (checks.length > 0) {
    warnings.push([
      `does not tell of ${checks.join(", ")}: checks are seen at the next sweep`,
      `where the forge knows these events, ${MAKE_ANEW}`,
    ]);
  }
  if (!["", "*", "**"].includes(hook.branchFilter)) {
    warnings.push([
      `tells only of pushes to branches like ${hook.branchFilter}`,
      "take its branch filter out",
    ]);
  }
  if (!isLoopback(new URL(hook.url).hostname) && isLoopback(listen.host)) {
    warnings.push([
      `leads to another address than webhook.listen (${listen.host})`,
      "see to it that what answers there passes deliveries on unchanged",
    ]);
  }
  return faults;
}

/** Without what may be a secret in it. */
function shownUrl(url: string): string {
  if (!URL.canParse(url)) return "an address that is none";
  const { origin, pathname } = new URL(url);
  return `${origin}${pathname}`;
}
