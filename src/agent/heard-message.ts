import { z } from "zod";

/** What a message of the CLI says that a run's end and figures depend on. */
export type HeardMessage =
  | { readonly kind: "init" }
  | { readonly kind: "delta" }
  | { readonly kind: "assistant"; readonly error: string | null }
  /** `resetsAt`: epoch milliseconds. */
  | { readonly kind: "limit"; readonly resetsAt: number | null }
  | { readonly kind: "result"; readonly result: HeardResult }
  | { readonly kind: "unreadable"; readonly problem: string }
  | { readonly kind: "other" };

export type HeardResult = z.infer<typeof Result>;

const amount = z.number().nonnegative();
const count = z.int().nonnegative();
const text = z.string().nullish();

const Init = z.looseObject({ subtype: z.literal("init") });
const Assistant = z.looseObject({ error: text });
const Limit = z.looseObject({
  rate_limit_info: z.looseObject({ status: z.string(), resetsAt: amount.max(1e11).nullish() }),
});
/** The fields every result of the CLI 2.1.330 has are required; `result` and `errors` by its subtype. */
const Result = z.looseObject({
  subtype: z.string(),
  is_error: z.boolean(),
  num_turns: count,
  total_cost_usd: amount,
  permission_denials: z.array(z.unknown()),
  result: z.string().default(""),
  errors: z.array(z.string()).default([]),
  api_error_status: count.nullish(),
  terminal_reason: text,
  startup_failure_reason: text,
  stop_reason: text,
});

/**
 * Reads a message that came over the CLI's stdout. Its types are a promise of the SDK that nobody
 * keeps: what the CLI says may be text of whoever took hold of it, so it is checked like any input.
 * Numbers are finite and not negative. A result that cannot be read is `unreadable`; a message of
 * another kind that cannot be read is `other`.
 */
export function heardMessage(message: { readonly type?: unknown }): HeardMessage {
  switch (message.type) {
    case "stream_event":
      return { kind: "delta" };
    case "system":
      return { kind: Init.safeParse(message).success ? "init" : "other" };
    case "assistant": {
      const read = Assistant.safeParse(message);
      return { kind: "assistant", error: read.success ? (read.data.error ?? null) : null };
    }
    case "rate_limit_event": {
      const read = Limit.safeParse(message);
      if (!read.success || read.data.rate_limit_info.status !== "rejected")
        return { kind: "other" };
      const seconds = read.data.rate_limit_info.resetsAt ?? null;
      return { kind: "limit", resetsAt: seconds === null ? null : seconds * 1_000 };
    }
    case "result": {
      const read = Result.safeParse(message);
      if (read.success) return { kind: "result", result: read.data };
      const issue = read.error.issues[0];
      const problem = `${issue?.path.join(".") ?? ""}: ${issue?.message ?? "unknown"}`;
      return { kind: "unreadable", problem: `the CLI sent a result that is none: ${problem}` };
    }
    default:
      return { kind: "other" };
  }
}
