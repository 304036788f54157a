import type { LogLine } from "./service.ts";

/** One thing that happened, in the form of `script/demo --json`. */
export type StoryEvent = { readonly kind: string; readonly number: number | null } & Readonly<
  Record<string, unknown>
>;

/** What a line of the service's log means for the story, or null. */
export function eventOf(line: LogLine): StoryEvent | null {
  const number = typeof line["number"] === "number" ? line["number"] : null;
  const pick = (...names: readonly string[]): Record<string, unknown> =>
    Object.fromEntries(names.map((name) => [name, line[name] ?? null]));
  switch (line.msg) {
    case "delivery":
      return { kind: "delivery", number, ...pick("event", "status") };
    case "decision":
      return { kind: "decision", number, ...pick("decision", "agent", "reason") };
    case "starting session":
    case "resuming session":
      return {
        kind: "run_started",
        number,
        ...pick("agent", "skill", "run", "session", "resumed", "prompt_bytes"),
      };
    case "run ended":
      return { kind: "run_ended", number, ...pick("agent", "skill", "run", "outcome", "usd") };
    case "effect done":
      return { kind: "effect", number, ...pick("agent", "effect", "ref") };
    case "merged":
      return { kind: "merged", number, ...pick("pull", "sha") };
    default:
      return null;
  }
}

/** The event as a sentence for people, or null when it is not worth one. */
export function sentenceOf(event: StoryEvent): string | null {
  const agent = String(event["agent"]);
  switch (event.kind) {
    case "delivery":
      return event["status"] === "accepted"
        ? `forge     → webhook ${String(event["event"])}`
        : null;
    case "decision":
      return event["decision"] === "nothing"
        ? null
        : `service   decides: ${String(event["decision"])}${event["agent"] === null ? "" : ` by ${agent}`} (${String(event["reason"])})`;
    case "run_started":
      return `${agent.padEnd(9)} ${event["resumed"] === true ? "resumes its" : "starts a"} session ${String(event["session"]).slice(0, 8)} to ${String(event["skill"])} (prompt of ${String(event["prompt_bytes"])} bytes)`;
    case "run_ended":
      return `${agent.padEnd(9)} ${String(event["skill"])}: ${String(event["outcome"])} ($${Number(event["usd"]).toFixed(4)})`;
    case "effect":
      return `${agent.padEnd(9)} ${String(event["effect"])} → #${String(event["ref"] ?? "")}`;
    case "merged":
      return `service   merged #${String(event["pull"])} at ${String(event["sha"]).slice(0, 10)}`;
    default:
      return null;
  }
}
