import type { Selectable } from "kysely";
import type { RunRecord } from "../domain/ledger.ts";
import type { RunView } from "../ports/store/runs.ts";
import type { Warn } from "./context.ts";
import { readJson, shownSchema } from "./json-columns.ts";
import type { RunTable } from "./tables.ts";

/** A row of `run` as the ledger has it. A damaged `shown_json` counts as none shown: the run itself must not be forgotten. */
export function toRunRecord(row: Selectable<RunTable>, warn: Warn): RunRecord {
  return {
    id: row.id,
    agent: row.agent,
    skill: row.skill,
    attempt: row.attempt,
    fingerprint: row.fingerprint,
    session: row.session,
    resumed: row.resumed === 1,
    startedAt: row.started_at,
    endedAt: row.ended_at,
    outcome: row.outcome,
    reason: row.reason,
    usd: row.usd,
    tokens: row.tokens_input + row.tokens_output + row.tokens_cache_read + row.tokens_cache_write,
    headSha: row.head_sha,
    pushedSha: row.pushed_sha,
    shown: readJson(row.shown_json, shownSchema, { warn, where: `run ${row.id} shown_json` }) ?? [],
  };
}

/** The same with its place. */
export function toRunView(row: Selectable<RunTable>, warn: Warn): RunView {
  return {
    ...toRunRecord(row, warn),
    repo: row.repo,
    number: row.number,
    promptBytes: row.prompt_bytes,
  };
}
