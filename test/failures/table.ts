import { apiRows, fullRows, limitRows, networkRows } from "./model-rows.ts";
import { operatorRows } from "./operator-rows.ts";
import type { Row } from "./row.ts";
import { damagedRows, harmlessRows, killedRows, lostRows } from "./session-rows.ts";

/** The failure table; docs/failures.md says it in words. */
export const ROWS: readonly Row[] = [
  ...lostRows(),
  ...damagedRows(),
  ...killedRows(),
  ...apiRows(),
  ...fullRows(),
  ...networkRows(),
  ...limitRows(),
  ...operatorRows(),
  ...harmlessRows(),
];
