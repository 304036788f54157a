import { CliFailure, EXIT_USAGE } from "./context.ts";

/** A work item, or a pull request of one, as people write it: `owner/repo#42`. */
export interface ItemReference {
  readonly owner: string;
  readonly name: string;
  readonly number: number;
}

/** Reads `owner/repo#42`; throws CliFailure (wrong usage) for anything else. */
export function parseItem(text: string): ItemReference {
  const match = /^([A-Za-z0-9_.-]+)\/([A-Za-z0-9_.-]+)#([1-9]\d{0,14})$/.exec(text);
  const [, owner, name, number] = match ?? [];
  if (owner === undefined || name === undefined || number === undefined) {
    throw new CliFailure(
      `${JSON.stringify(text.slice(0, 100))} is not owner/repo#number, e.g. acme/widgets#42`,
      { exitCode: EXIT_USAGE },
    );
  }
  return { owner, name, number: Number(number) };
}

/** The address of an agent's session of an item in the admin API. Throws CliFailure (wrong usage) for no agent's key. */
export function sessionPath(agent: string, { owner, name, number }: ItemReference): string {
  if (!/^[a-z0-9][a-z0-9-]{0,31}$/.test(agent)) {
    throw new CliFailure(
      `${JSON.stringify(agent.slice(0, 100))} is not an agent's key in the configuration, e.g. boss`,
      { exitCode: EXIT_USAGE },
    );
  }
  return `/api/v1/sessions/${agent}/${owner}/${name}/${number}`;
}

/** The address of an item in the admin API. */
export function itemPath({ owner, name, number }: ItemReference): string {
  return `/api/v1/items/${owner}/${name}/${number}`;
}
