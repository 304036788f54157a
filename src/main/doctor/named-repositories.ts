import type { Config } from "../../config/config.ts";

/** The repositories that are named in full, not as all of an owner. */
export function namedRepositories({ repositories }: Config): readonly string[] {
  return repositories.flatMap(({ pattern }) => (pattern.endsWith("/*") ? [] : [pattern]));
}
