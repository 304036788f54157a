import type { Config } from "../../config/config.ts";
import type { ForgeInspector } from "../../forge/inspect-forge.ts";
import { ask, type Finding } from "./finding.ts";
import { TimeRanOut } from "./time-limit.ts";
import { type Tried, tried } from "./tried.ts";

/** Whether the forge answers, and is of the configured kind. The rest is asked only if `isThere`. */
export async function checkServer(
  { forge, agents }: Config,
  inspectorOf: (token: string) => ForgeInspector,
): Promise<{ readonly findings: readonly Finding[]; readonly isThere: boolean }> {
  const question = ask("forge.reachable", "does the forge answer?");
  const answer = await versionOf([
    inspectorOf(""),
    ...agents.map(({ token }) => inspectorOf(token.reveal())),
  ]);
  if (!answer.ok) {
    if (answer.failure instanceof TimeRanOut) {
      return { findings: [question.unchecked(answer.words)], isThere: false };
    }
    // 401 to everybody: it is a forge that answers, and the tokens are asked about one by one.
    if (answer.failure.kind === "auth") {
      return { findings: [question.ok(`${forge.url} answers`)], isThere: true };
    }
    const remedy =
      answer.failure.kind === "unavailable"
        ? "look at forge.url and forge.ca_file, and at the network and proxy of this host"
        : "look at forge.url: it must be the address of the forge's first page";
    return { findings: [question.problem(answer.words, remedy)], isThere: false };
  }
  const version = answer.value;
  const findings = [
    question.ok(`${forge.url} answers, version ${version}`),
    kindOf(forge, version),
  ];
  return { findings, isThere: true };
}

/** Asked as nobody; a forge that shows itself to known accounts only is asked as those. */
async function versionOf(inspectors: readonly ForgeInspector[]): Promise<Tried<string>> {
  let last: Tried<string> | null = null;
  for (const inspector of inspectors) {
    last = await tried(async () => await inspector.version());
    if (last.ok || !["auth", "forbidden"].includes(last.failure.kind)) return last;
  }
  if (last === null) throw new Error("nobody to ask as");
  return last;
}

/** The kind selects the family of headers that is read; Gitea has none of Forgejo's. */
function kindOf({ kind }: Config["forge"], version: string): Finding {
  const question = ask("forge.kind", "is the forge of the configured kind?");
  const real = version.includes("+gitea-") ? "forgejo" : "gitea";
  if (real === kind) return question.ok(`${version} is ${kind}`);
  const remedy = `write forge.kind: ${real}`;
  return real === "gitea"
    ? question.problem(`${version} is Gitea: its deliveries have no headers of Forgejo`, remedy)
    : question.warning(`${version} is Forgejo, which only also sends Gitea's headers`, remedy);
}
