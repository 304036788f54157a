import type { RecordedRequest, Step } from "./endpoint.ts";
import { plainMessages, systemText } from "./messages-request.ts";

/** One tool call since the newest prompt, with what came back. */
interface Call {
  readonly name: string;
  readonly input: unknown;
  readonly result: string;
  readonly isError: boolean;
}

/** A request as a reader of it sees it: the newest prompt of the service and what was done about it. */
export interface Conversation {
  readonly system: string;
  /** The whole newest prompt. */
  readonly prompt: string;
  readonly skill: string;
  readonly agent: string;
  readonly number: number;
  readonly resumed: boolean;
  /** The text of the skill's prompt file: what stands before the facts. */
  readonly instructions: string;
  readonly calls: readonly Call[];
  /** Every text of the whole request, for facts told earlier in the conversation. */
  readonly everything: string;
}

const HEAD =
  /^claude-hooks: (?<skill>\S+) \S+#(?<number>\d+) as (?<agent>\S+), run \S+, (?<mode>start|resume)$/mu;

/** Reads a request; null when it holds no prompt of the service. */
export function readConversation(request: RecordedRequest): Conversation | null {
  const messages = plainMessages(request.body);
  const at = messages.findLastIndex(
    ({ role, texts }) => role === "user" && texts.some((text) => HEAD.test(text)),
  );
  const prompt = messages[at]?.texts.find((text) => HEAD.test(text));
  const head = prompt === undefined ? undefined : HEAD.exec(prompt)?.groups;
  if (prompt === undefined || head === undefined) return null;
  const after = messages.slice(at + 1);
  const results = new Map(
    after.flatMap(({ toolResults }) => toolResults.map((result) => [result.id, result] as const)),
  );
  const calls = after
    .flatMap(({ toolUses }) => toolUses)
    .flatMap(({ id, name, input }): Call[] => {
      const result = results.get(id);
      return result === undefined
        ? []
        : [{ name, input, result: result.text, isError: result.isError }];
    });
  const body = prompt.slice(prompt.indexOf("\n") + 1);
  return {
    system: systemText(request.body),
    prompt,
    skill: head["skill"] ?? "",
    agent: head["agent"] ?? "",
    number: Number(head["number"]),
    resumed: head["mode"] === "resume",
    instructions: body.slice(0, Math.max(0, body.indexOf("## Where you stand"))).trim(),
    calls,
    everything: messages.flatMap(({ texts }) => texts).join("\n"),
  };
}

/** A turn that ends with words only: this is how the scripted model says that something is missing. */
export function say(text: string): Step {
  return { text };
}

/** A step that calls a tool, after a text if one is given. */
export function use(name: string, input: unknown, text?: string): Step {
  return { tools: [{ name, input }], ...(text === undefined ? {} : { text }) };
}
