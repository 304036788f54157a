import { z } from "zod";
import type { RunOrder } from "../domain/decision.ts";
import type { Park } from "../domain/ledger.ts";
import type { Seen } from "../domain/seen.ts";
import { SKILLS } from "../domain/skill.ts";
import { JsonFailure, parseJson } from "../json/parse.ts";
import type { Warn } from "./context.ts";

const account = z.object({ id: z.number(), login: z.string() });

/** The order of a run as it waits in the table `item`. */
export const orderSchema: z.ZodType<RunOrder> = z.object({
  agent: z.string(),
  skill: z.enum(SKILLS),
  fingerprint: z.string(),
  reason: z.string(),
  asked: z
    .object({
      person: account,
      on: z.enum(["issue", "comment"]),
      number: z.number(),
      comment: z.number().nullable(),
    })
    .nullable(),
  headSha: z.string().nullable(),
  reviews: z.array(z.number()),
});

/** The parks of an item. */
export const parksSchema: z.ZodType<readonly Park[]> = z.array(
  z.object({
    row: z.enum([...SKILLS, "all"]),
    name: z.string(),
    reason: z.string(),
    until: z.number().nullable(),
    since: z.number(),
    attempt: z.exactOptional(z.number()),
  }),
);

/** What a session has seen of its work item. */
export const seenSchema: z.ZodType<Seen> = z.object({
  title: z.string(),
  body: z.string(),
  pull: z
    .object({
      number: z.number(),
      title: z.string(),
      body: z.string(),
      base: z.string(),
      head: z.string(),
    })
    .nullable(),
  texts: z.record(z.string(), z.string()),
  checks: z.record(z.string(), z.string()),
  acts: z.array(z.number()),
});

/** The ids of the texts a run has shown. */
export const shownSchema: z.ZodType<readonly string[]> = z.array(z.string());

/**
 * The value of a JSON column, or null when it does not parse: it then counts as absent and is
 * reported, because one damaged row must not stop the service. `where` names table, column and key.
 */
export function readJson<T>(
  text: string,
  schema: z.ZodType<T>,
  report: { readonly warn: Warn; readonly where: string },
): T | null {
  try {
    const parsed = schema.safeParse(parseJson(text));
    if (parsed.success) return parsed.data;
    warnDamaged(report, z.prettifyError(parsed.error));
  } catch (error) {
    if (!(error instanceof JsonFailure)) throw error;
    warnDamaged(report, error.message);
  }
  return null;
}

function warnDamaged(
  report: { readonly warn: Warn; readonly where: string },
  problem: string,
): void {
  report.warn("a stored value does not parse and counts as absent", {
    where: report.where,
    problem: problem.slice(0, 500),
  });
}
