import type { Ledger, RunRecord } from "../domain/ledger.ts";
import type { PolicyAgent } from "../domain/policy.ts";
import type { Snapshot } from "../domain/snapshot.ts";
import type { CloneUse } from "../ports/git.ts";
import type { Log } from "../ports/observe.ts";
import type { RunClaim } from "../ports/store/claims.ts";
import type { SessionRow } from "../ports/store/sessions.ts";
import type { Plan } from "../sessions/plan.ts";
import type { RepositorySettings } from "./dependencies.ts";
import type { RunPrompt } from "./prompt-for-run.ts";
import type { RunWatch } from "./watch-run.ts";
import type { PreparedWorkspace } from "./workspace.ts";

/** Everything one run knows once it is prepared. */
export interface Frame {
  readonly claim: RunClaim;
  readonly run: string;
  readonly settings: RepositorySettings;
  readonly agent: PolicyAgent;
  readonly snapshot: Snapshot;
  readonly ledger: Ledger;
  readonly prepared: PreparedWorkspace;
  readonly plan: Plan;
  readonly session: SessionRow;
  /** The session as it was, when its conversation is not gone on with. */
  readonly replaced: SessionRow | null;
  readonly prompt: RunPrompt;
  /** The run whose answer stands, as nothing is new since; null: there is something to do. */
  readonly standing: RunRecord | null;
  readonly watch: RunWatch;
  readonly clone: CloneUse;
  readonly log: Log;
}

/** The fields every log line of a run carries. */
export function runFields({ item, order }: RunClaim): Record<string, string | number> {
  return { repo: item.repo, number: item.number, agent: order.agent, skill: order.skill };
}

/** A log that adds these fields to every line. */
export function withFields(log: Log, fields: Record<string, string | number>): Log {
  return {
    debug: (message, more) => log.debug(message, { ...fields, ...more }),
    info: (message, more) => log.info(message, { ...fields, ...more }),
    warn: (message, more) => log.warn(message, { ...fields, ...more }),
    error: (message, more) => log.error(message, { ...fields, ...more }),
  };
}
