import type { Config } from "../../config/config.ts";
import type { ConfigNotice } from "../../config/problem.ts";
import { sessionNotices } from "../session-notices.ts";
import { ask, type Finding } from "./finding.ts";

/** Below this a webhook secret holds, but is within reach of patient guessing. */
const WEBHOOK_SECRET_BYTES_GOOD = 16;

/** What can be told from the configuration and the database alone. */
export function checkSettings(
  config: Config,
  notices: readonly ConfigNotice[],
): readonly Finding[] {
  return [
    ...checkNotices(config, notices),
    ...config.webhook.secrets.map((secret, index) => checkSecret(secret.bytes, index)),
    ...checkSameTokens(config),
    ...checkPrefixes(config),
  ];
}

function checkNotices(config: Config, notices: readonly ConfigNotice[]): readonly Finding[] {
  const question = ask("config.file", "does the configuration hold?");
  const holds = question.ok(`${config.file} holds`);
  const told = notices.map(({ key, message }) =>
    question.warning(message, `change ${key}, or leave it knowing that`),
  );
  return [holds, ...told];
}

function checkSecret(bytes: number, index: number): Finding {
  const key = `webhook.secrets[${index}]`;
  const question = ask("webhook.secret", "is the secret of the deliveries long enough?");
  const found = `${key} has ${bytes} bytes`;
  return bytes >= WEBHOOK_SECRET_BYTES_GOOD
    ? question.ok(found)
    : question.warning(
        found,
        "make one of 32 random bytes (openssl rand -hex 32) and make the hook anew with it",
      );
}

/** Every agent is an account of its own: an approval of an agent's own pull request would be none. */
function checkSameTokens({ agents }: Config): readonly Finding[] {
  return agents.flatMap(({ name, token }, index) => {
    const twin = agents.slice(0, index).find((one) => one.token.reveal() === token.reveal());
    if (twin === undefined) return [];
    return [
      ask("agent.own_account", "has each agent an account of its own?", { agent: name }).problem(
        `${twin.name} and ${name} have the same token`,
        `give ${name} an account and a token of its own`,
      ),
    ];
  });
}

function checkPrefixes(config: Config): readonly Finding[] {
  const question = ask("sessions.prefix", "does the configuration keep the sessions' beginning?");
  if (config.database !== null) {
    return [
      question.unchecked("the sessions are in PostgreSQL; each start of the service tells of them"),
    ];
  }
  const notices = sessionNotices(config);
  if (notices.length === 0) return [question.ok("no session pays anew")];
  return notices.map(({ key, message }) =>
    key === "state_dir"
      ? question.unchecked(message)
      : question.warning(message, `keep ${key} as it was, or pay once for each of them`),
  );
}
