import { type Conversation, say, use } from "../../demo/model/conversation.ts";
import type { Step } from "../../demo/model/endpoint.ts";

/** What the model does about a prompt of the service. */
export type Talk = (talk: Conversation) => Step | Promise<Step>;

/** Steps in order: each prompt begins with the first, each answered tool call moves on to the next. */
export function steps(...all: readonly Step[]): Talk {
  return ({ calls }) => all[calls.length] ?? say("Done.");
}

/** The forge's tool by its short name. */
export function forgeTool(name: string, input: unknown): Step {
  return use(`mcp__forge__${name}`, input);
}

/** Everything an implementer does, in two calls. */
export const IMPLEMENTING: readonly Step[] = [
  use("Bash", { command: "echo done > note.md && git add note.md && git commit -qm note" }),
  forgeTool("open_pull_request", { title: "A note", body: "It is there now." }),
];
