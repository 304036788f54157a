import type { AgentConfig, Config } from "../../config/config.ts";
import type { ForgeInspector, TokenAccount } from "../../forge/inspect-forge.ts";
import { ask, type Finding, type Question } from "./finding.ts";
import { namedRepositories } from "./named-repositories.ts";
import { type Tried, tried } from "./tried.ts";

/** An agent whose token the forge takes. */
export interface KnownAgent {
  readonly agent: AgentConfig;
  readonly inspector: ForgeInspector;
  /** Number of its account, or null where the forge does not tell. */
  readonly id: number | null;
}

/** Repositories in which an account is looked for that its token may not ask about directly. */
const PLACES_MAX = 3;

/** Whose the tokens are; those that the forge takes are asked with from then on. */
export async function checkAgents(
  config: Config,
  inspectorOf: (token: string) => ForgeInspector,
): Promise<{ readonly findings: readonly Finding[]; readonly known: readonly KnownAgent[] }> {
  const looks = await Promise.all(
    config.agents.map(
      async (agent) => await look(config, agent, inspectorOf(agent.token.reveal())),
    ),
  );
  const known = looks.flatMap(({ known: one }) => (one === null ? [] : [one]));
  return {
    findings: [...looks.flatMap(({ findings }) => findings), ...sameAccounts(known)],
    known,
  };
}

interface Look {
  readonly findings: readonly Finding[];
  readonly known: KnownAgent | null;
}

async function look(config: Config, agent: AgentConfig, inspector: ForgeInspector): Promise<Look> {
  const about = { agent: agent.name };
  const question = ask("agent.token", "does the forge take the agent's token?", about);
  const answer = await tried(async () => await inspector.account());
  if (!answer.ok && answer.failure.kind === "auth") {
    const remedy = `make a token of ${agent.login} and put it where agents.${agent.name}.token points to`;
    return {
      findings: [question.problem(`the forge refuses it (${answer.words})`, remedy)],
      known: null,
    };
  }
  // Only a forge that knows the token refuses it one thing; a page of a proxy takes no token.
  if (!answer.ok && answer.failure.kind !== "forbidden") {
    const isForNow = ["unavailable", "rate_limited"].includes(answer.failure.kind);
    const remedy = isForNow ? "ask again later" : "look at what stands between here and the forge";
    return { findings: [question.unchecked(answer.words, remedy)], known: null };
  }
  const taken = question.ok("the forge takes it");
  const { account, findings } = answer.ok
    ? { account: answer.value, findings: accountFindings(agent, answer.value) }
    : await askElsewhere(config, agent, { inspector, answer });
  return { findings: [taken, ...findings], known: { agent, inspector, id: account?.id ?? null } };
}

/** The two questions about an account, however they are answered. */
function askAccount(agent: AgentConfig): { readonly whose: Question; readonly rights: Question } {
  const about = { agent: agent.name };
  return {
    whose: ask("agent.account", "is the token the configured account's?", about),
    rights: ask("agent.site_administrator", "is the account no administrator of the forge?", about),
  };
}

function accountFindings(agent: AgentConfig, account: TokenAccount): readonly Finding[] {
  const { whose, rights } = askAccount(agent);
  const isOwn = account.login.toLowerCase() === agent.login.toLowerCase();
  return [
    isOwn
      ? whose.ok(`it is ${account.login}'s`)
      : whose.problem(
          `the token is ${account.login}'s, the configuration says ${agent.login}`,
          `make a token of ${agent.login}, or write agents.${agent.name}.login: ${account.login}`,
        ),
    account.isSiteAdmin === true
      ? rights.problem(
          `${account.login} administrates the whole forge`,
          "take that right away from the account, or give the agent another one",
        )
      : account.isSiteAdmin === false
        ? rights.ok(`${account.login} is a plain account`)
        : rights.unchecked("the forge does not say"),
  ];
}

/**
 * A token needs no right to read its own account (scope `read:user`); then the forge is asked what it
 * tells only to that account. An administrator of the repository would be told in any case.
 */
async function askElsewhere(
  config: Config,
  agent: AgentConfig,
  {
    inspector,
    answer,
  }: { inspector: ForgeInspector; answer: Extract<Tried<unknown>, { ok: false }> },
): Promise<{
  readonly account: { readonly id: number } | null;
  readonly findings: readonly Finding[];
}> {
  const { whose, rights } = askAccount(agent);
  for (const repo of namedRepositories(config).slice(0, PLACES_MAX)) {
    const facts = await tried(async () => await inspector.repository(repo));
    if (!facts.ok || facts.value.mayAdminister !== false) continue;
    const own = await tried(async () => await inspector.ownAccount(repo, agent.login));
    if (!own.ok || own.value === null) continue;
    const found = `${repo} knows the token as ${own.value.login}'s`;
    return {
      account: own.value,
      // Who administrates the forge administrates each repository, too.
      findings: [whose.ok(found), rights.ok(`${own.value.login} does not administrate ${repo}`)],
    };
  }
  const remedy = "give the token the scope read:user to have it checked";
  const why = `the token may not ask (${answer.words})`;
  return { account: null, findings: [whose.unchecked(why, remedy), rights.unchecked(why, remedy)] };
}

function sameAccounts(known: readonly KnownAgent[]): readonly Finding[] {
  return known.flatMap(({ agent, id }, index) => {
    const twin = known.slice(0, index).find((one) => id !== null && one.id === id);
    // The same token was told of before.
    if (twin === undefined || twin.agent.token.reveal() === agent.token.reveal()) return [];
    return [
      ask("agent.own_account", "has each agent an account of its own?", {
        agent: agent.name,
      }).problem(
        `${twin.agent.name} and ${agent.name} are the same account`,
        `give ${agent.name} an account and a token of its own`,
      ),
    ];
  });
}
