import { Database } from "bun:sqlite";
import { join } from "node:path";
import { REPO } from "../../demo/scenario/widgets.ts";
import type { Answered } from "./load.ts";
import type { Overlap, StubLife } from "./record.ts";

/** What must be 0, whatever was killed when. */
export interface Counters {
  /** Acknowledged with 202, but not on record, or its mark was never answered. */
  readonly lost: number;
  /** Delivery ids that were accepted as new more than once. */
  readonly acceptedTwice: number;
  /** Work items whose last word is "run", but no run came of it. */
  readonly neverStarted: number;
  /** Runs of a fingerprint that began after an earlier run of it had been told that its effect stands, or had ended well. */
  readonly ranTwice: number;
  /** Runs that were alive while another one of their work item was. */
  readonly overlapped: number;
  /** Pull requests beyond the first of a work item. */
  readonly pullsTooMany: number;
  /** Comments, reviews and pull requests of one account beyond the first with their hidden line. */
  readonly doubled: number;
}

interface StoredRun {
  readonly id: string;
  readonly number: number;
  readonly fingerprint: string;
  readonly outcome: string | null;
}

export interface Evidence {
  readonly answers: ReadonlyMap<string, Answered>;
  readonly delivered: ReadonlySet<string>;
  readonly items: readonly {
    readonly number: number;
    readonly waits: boolean;
    readonly decision: string;
    readonly state: string;
    readonly reason: string;
  }[];
  /** Marks that no reconcile has taken up. */
  readonly marks: number;
  /** In the order in which they began. */
  readonly runs: readonly StoredRun[];
  readonly lives: readonly StubLife[];
  readonly overlaps: readonly Overlap[];
  readonly pulls: readonly { readonly item: number }[];
  readonly texts: readonly { readonly author: string; readonly body: string }[];
}

const DONE = [
  "open_pull_request",
  "submit_review",
  "hand_in",
  "request_merge",
  "decline_merge",
  "ask_human",
];
const FULFILLED = ["succeeded", "asked", "declined"];

export function countAll(evidence: Evidence): Counters {
  const { answers, delivered, items, marks } = evidence;
  const accepted = [...answers].filter(([, { statuses }]) => statuses.includes(202));
  return {
    lost:
      accepted.filter(([id]) => !delivered.has(id)).length +
      items.filter(({ waits }) => waits).length +
      marks,
    acceptedTwice: accepted.filter(
      ([, { statuses }]) => statuses.filter((status) => status === 202).length > 1,
    ).length,
    neverStarted: items.filter(
      ({ decision, state }) => decision.startsWith("run ") && state !== "running",
    ).length,
    ranTwice: ranTwice(evidence).length,
    overlapped: new Set(evidence.overlaps.map(({ newer, older }) => `${older} ${newer}`)).size,
    pullsTooMany: beyondFirst(evidence.pulls.map(({ item }) => `${item}`)),
    doubled: beyondFirst(evidence.texts.flatMap(({ author, body }) => keysOf(author, body))),
  };
}

/** Ids of the runs that should not have been. */
function ranTwice({ runs, lives }: Pick<Evidence, "runs" | "lives">): readonly string[] {
  return runs.flatMap((run, index) => {
    const began = lives.find((life) => life.run === run.id)?.startedAt ?? null;
    const before = runs
      .slice(0, index)
      .filter(
        ({ number, fingerprint }) => number === run.number && fingerprint === run.fingerprint,
      );
    const isDone = before.some(
      ({ id, outcome }) => FULFILLED.includes(outcome ?? "") || wasTold(lives, id, began),
    );
    return isDone ? [run.id] : [];
  });
}

/** Whether that run had been told, before then, that what it was for is done. */
function wasTold(lives: readonly StubLife[], run: string, before: number | null): boolean {
  return lives.some(
    (life) =>
      life.run === run &&
      life.done.some(({ tool, at }) => DONE.includes(tool) && before !== null && at < before),
  );
}

function keysOf(author: string, body: string): string[] {
  const keys = body.matchAll(/<!-- claude-hooks:(\S.*?) -->/gu);
  return [...keys].map(([, key]) => `${author} ${key}`);
}

function beyondFirst(names: readonly string[]): number {
  return names.length - new Set(names).size;
}

/** What the service's database says; it may be in use. */
export function storedIn(dir: string): Pick<Evidence, "delivered" | "items" | "marks" | "runs"> & {
  readonly parked: readonly number[];
  readonly leases: number;
  /** The same text as long as nothing has happened. */
  readonly trace: string;
} {
  const db = new Database(join(dir, "state/claude-hooks.db"), { readonly: true });
  try {
    // A new life of the service may be reading in what the killed one had written last.
    db.run("PRAGMA busy_timeout = 5000");
    const items = db
      .query(`SELECT number, mark > settled AS waits, decision, state, reason, mark, settled,
        lease_until IS NOT NULL AS leased FROM item WHERE repo = ? ORDER BY number`)
      .all(REPO) as {
      number: number;
      waits: number;
      decision: string;
      state: string;
      reason: string;
      leased: number;
    }[];
    const ids = db.query("SELECT id FROM delivery").all() as { id: string }[];
    const { marks } = db.query("SELECT count(*) AS marks FROM mark").get() as { marks: number };
    const runs = db
      .query("SELECT id, number, fingerprint, outcome FROM run ORDER BY seq")
      .all() as StoredRun[];
    return {
      delivered: new Set(ids.map(({ id }) => id)),
      items: items.map((item) => ({ ...item, waits: item.waits === 1 })),
      marks,
      runs,
      leases: items.filter(({ leased }) => leased === 1).length,
      trace: JSON.stringify([items, marks, runs]),
      parked: items
        .filter(({ decision, reason }) => decision === "park" || /^attempt \d/u.test(reason))
        .map(({ number }) => number),
    };
  } finally {
    db.close();
  }
}
