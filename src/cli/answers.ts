import { z } from "zod";
import { CliFailure } from "./context.ts";

// What the commands print of the admin API's answers; whatever is missing is shown as "-".

const time = z.union([z.number(), z.string()]).nullish();
const text = z.string().nullish();
const number = z.number().nullish();

/** A work item as `/api/v1/items` shows it. */
export const Item = z.looseObject({
  repo: z.string(),
  number: z.number(),
  pull: number,
  state: text,
  decision: text,
  reason: text,
  retry_at: time,
  usd: number,
});
export type Item = z.output<typeof Item>;

/** A run as `/api/v1/runs` shows it. */
export const Run = z.looseObject({
  id: z.string(),
  agent: text,
  skill: text,
  repo: text,
  number,
  attempt: number,
  session: text,
  resumed: z.boolean().nullish(),
  outcome: text,
  reason: text,
  started_at: time,
  ended_at: time,
  usd: number,
});
export type Run = z.output<typeof Run>;

const Tokens = z
  .looseObject({ input: number, output: number, cache_read: number, cache_write: number })
  .nullish();
export type Tokens = z.output<typeof Tokens>;

/** A session as `/api/v1/sessions` shows it. */
export const Session = z.looseObject({
  key: z.string(),
  agent: text,
  repo: text,
  number,
  session_id: text,
  created_at: time,
  updated_at: time,
  resumes: number,
  tainted: z.boolean().nullish(),
  age_seconds: number,
  last_seen: time,
  why: text,
  context_tokens: number,
  tokens: Tokens,
  usd: number,
});
export type Session = z.output<typeof Session>;

/** One conversation of a session's history. */
export const Conversation = z.looseObject({
  session_id: text,
  why: text,
  started_at: time,
  last_seen: time,
  ended_at: time,
  ended_why: text,
  handed_over: z.boolean().nullish(),
  context_tokens: number,
  tokens: Tokens,
  usd: number,
});
export type Conversation = z.output<typeof Conversation>;

/** Of a session that was dropped only key and history are there. */
export const SessionDetail = Session.extend({ history: z.array(Conversation).default([]) });
/** What was said in a session's current conversation, as text. */
export const Transcript = z.looseObject({ session_id: text, transcript: z.string() });

/** An effect in the detail of a work item. */
export const Effect = z.looseObject({
  tool: text,
  state: text,
  run: text,
  ref: number,
  text,
  at: time,
});
export type Effect = z.output<typeof Effect>;

/** One work item with its sessions, runs and effects. */
export const ItemDetail = Item.extend({
  runs: z.array(Run).default([]),
  sessions: z.array(Session).default([]),
  effects: z.array(Effect).default([]),
});

/** A delivery as `/api/v1/deliveries` shows it. */
export const Delivery = z.looseObject({
  id: z.string(),
  event: text,
  repo: text,
  number,
  sender: text,
  received_at: time,
  status: text,
  reason: text,
});
export type Delivery = z.output<typeof Delivery>;

const next = z.string().nullish();
/** The page of a list, with where the next one begins; so are the three below. */
export const ItemList = z.looseObject({ items: z.array(Item), next });
export const RunList = z.looseObject({ runs: z.array(Run), next });
export const SessionList = z.looseObject({ sessions: z.array(Session), next });
export const DeliveryList = z.looseObject({ deliveries: z.array(Delivery), next });

const counts = z.record(z.string(), z.number()).default({});
/** The answer of `/api/v1/status`. */
export const Status = z.looseObject({
  version: text,
  paused: z.boolean(),
  paused_by_file: z.boolean().nullish(),
  draining: z.boolean().nullish(),
  pauses: z.array(z.looseObject({ repo: text, agent: text })).default([]),
  deliveries: counts,
  runs: counts,
  queue: counts,
  gates: z
    .array(z.looseObject({ name: text, reason: text, attempt: number, retry_at: time }))
    .default([]),
  administrators: z.array(z.looseObject({ repo: text, agent: text })).default([]),
});
export type Status = z.output<typeof Status>;

/** Whether there was a session to forget. */
export const Reset = z.looseObject({ session: z.boolean() });
/** How many runs are still alive. */
export const Drain = z.looseObject({ active: z.number() });
/** How many sessions were forgotten. */
export const ItemReset = z.looseObject({ sessions: z.number() });

/** The answer in the form a command prints; throws CliFailure when the service speaks another language. */
export function readAnswer<T extends z.ZodType>(schema: T, answer: unknown): z.output<T> {
  const parsed = schema.safeParse(answer);
  if (!parsed.success) {
    const place = parsed.error.issues[0]?.path.join(".") ?? "";
    throw new CliFailure(
      `the service's answer cannot be read (at "${place}"): is it of another version than this command?`,
    );
  }
  return parsed.data;
}
