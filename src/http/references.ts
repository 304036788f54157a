import { z } from "zod";
import type { ItemRef } from "../domain/snapshot.ts";
import type { AdminOptions } from "./admin-options.ts";

const NUMBER = "must be an integer from 1 to 2147483647";

/** An agent's key in the configuration. */
export const agentName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,31}$/, { error: "must be an agent's key in the configuration" });

/** `owner/name`, in lower case afterwards. */
export const repoName = z
  .string()
  .regex(/^[A-Za-z0-9._-]{1,100}\/[A-Za-z0-9._-]{1,100}$/, { error: "must be owner/name" })
  .transform((name) => name.toLowerCase());

/** Number of an issue or a pull request. */
export const itemNumber = z
  .int({ error: NUMBER })
  .min(1, { error: NUMBER })
  .max(2 ** 31 - 1, { error: NUMBER });

/** What a path names, or null when it names nothing. */
export function readRef(param: { owner: string; repo: string; number: string }): ItemRef | null {
  const repo = repoName.safeParse(`${param.owner}/${param.repo}`);
  const number = itemNumber.safeParse(Number(param.number));
  const isPlain = /^\d{1,10}$/.test(param.number);
  return repo.success && number.success && isPlain
    ? { repo: repo.data, number: number.data }
    : null;
}

/** The number of a pull request stands for the work item it belongs to. */
export async function resolve(given: ItemRef, options: AdminOptions): Promise<ItemRef> {
  const number = await options.store.pulls.itemOf(given.repo, given.number);
  return { repo: given.repo, number: number ?? given.number };
}
