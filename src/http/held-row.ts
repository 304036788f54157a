import { gateSentence } from "../domain/gate.ts";
import type { Gates } from "../ports/gates.ts";
import type { ItemRow } from "../ports/store/items.ts";
import { time } from "./wire.ts";

/** The operator's line of an item; if its order waits behind a closed gate, with what that waits for and until when. */
export function heldRow(row: ItemRow, gates: Pick<Gates, "holding">): ItemRow {
  const gate = row.waitsFor === null ? null : gates.holding(row.waitsFor);
  if (gate === null) return row;
  const reason = `${gate.reason}: ${gateSentence(gate)} (attempt ${gate.attempt})`;
  return { ...row, reason, retryAt: gate.retryAt };
}

/** The closed gates as `/api/v1/status` shows them. */
export function gatesOut(gates: Pick<Gates, "closed">) {
  return gates.closed().map(({ name, reason, attempt, since, retryAt }) => ({
    name,
    reason,
    attempt,
    since: time(since),
    retry_at: time(retryAt),
  }));
}
