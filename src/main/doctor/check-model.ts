import type { Config } from "../../config/config.ts";
import { askModel, type ModelAnswer } from "../../gateway/ask-model.ts";
import { ask, type Finding, type Question } from "./finding.ts";

const TIMEOUT_MS = 10_000;

/** Asks the model's server for its list of models, and for each model of an agent: neither costs anything. */
export async function checkModel({ model, agents }: Config): Promise<readonly Finding[]> {
  const credential = { kind: model.credential.kind, value: model.credential.secret.reveal() };
  const asked = async (name: string | null): Promise<ModelAnswer> =>
    await askModel({ baseUrl: model.baseUrl, credential, model: name, timeoutMs: TIMEOUT_MS });
  const answer = await asked(null);
  const question = ask("model.credential", "does the model's server take the credential?");
  const found = credentialFinding(question, answer, model);
  if (answer.kind !== "accepted") return [found];
  const names = [...new Set(agents.map((agent) => agent.model))];
  const models = names.map(async (name) => modelFinding(name, await asked(name)));
  return [found, ...(await Promise.all(models))];
}

function credentialFinding(
  question: Question,
  answer: ModelAnswer,
  { baseUrl, credential }: Config["model"],
): Finding {
  const key = `model.${credential.kind}`;
  switch (answer.kind) {
    case "accepted":
      return question.ok(`${baseUrl} takes ${key}`);
    case "refused":
      return question.problem(
        `${baseUrl} refuses ${key} (401 ${answer.words})`,
        `put a valid credential where ${key} points to`,
      );
    case "redirected":
      return question.problem(
        `${baseUrl} redirects to ${answer.place}, which is not followed`,
        "write the server's own address into model.base_url",
      );
    case "unreachable":
      return question.problem(
        `${baseUrl} cannot be reached: ${answer.words}`,
        "look at model.base_url, and at the network and proxy of this host",
      );
    case "not_found":
      return question.unchecked(
        `${baseUrl} answers but lists no models; anything else would be a request that is paid for`,
      );
    case "other":
      return question.unchecked(
        `${baseUrl} answers ${answer.status} ${answer.words}, which says nothing about ${key}`,
        "ask again later; if it stays so, look at model.base_url",
      );
  }
}

function modelFinding(name: string, answer: ModelAnswer): Finding {
  const question = ask("model.name", `is there a model ${name}?`);
  if (answer.kind === "accepted") return question.ok(`${name} is there`);
  if (answer.kind === "not_found") {
    return question.problem(
      `this credential has no model ${name}`,
      "name another one in agents.<name>.model",
    );
  }
  return question.unchecked(`the server did not say (${answer.kind})`);
}
