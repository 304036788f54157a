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

/** One row of the runs; `owner` is the name under which a process holds leases. */
export interface StoredRun {
  readonly id: string;
  readonly number: number;
  readonly fingerprint: string;
  readonly outcome: string | null;
  readonly reason: string | null;
  readonly session: string;
  readonly resumed: boolean;
  readonly owner: string | null;
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

/** The runs that should not have been, each with the one that had done it already. */
function ranTwice({
  runs,
  lives,
}: Pick<Evidence, "runs" | "lives">): readonly { again: StoredRun; done: StoredRun }[] {
  return runs.flatMap((again, index) => {
    const began = lives.find((life) => life.run === again.id)?.startedAt ?? null;
    const done = runs
      .slice(0, index)
      .find(
        ({ id, number, fingerprint, outcome }) =>
          number === again.number &&
          fingerprint === again.fingerprint &&
          (FULFILLED.includes(outcome ?? "") || wasTold(lives, id, began)),
      );
    return done === undefined ? [] : [{ again, done }];
  });
}

/** For people: which runs the counters speak of. */
export function explain(evidence: Evidence): readonly string[] {
  const { lives, overlaps } = evidence;
  const say = ({ id, outcome, reason, owner }: StoredRun): string => {
    const told = lives.filter(({ run }) => run === id).flatMap(({ done }) => done);
    const names = told.map(({ tool }) => tool).join(" ");
    return `${id} (${outcome}, ${reason}, of ${owner}, told: ${names})`;
  };
  return [
    ...ranTwice(evidence).map(
      ({ again, done }) => `#${done.number} ${done.fingerprint}: ${say(done)}, then ${say(again)}`,
    ),
    ...overlaps.map(({ number, older, newer }) => `#${number}: ${older} beside ${newer}`),
  ];
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

/** The reasons with which a run ends whose service died: at its next start, or where its lease ran out. */
const DIED = ["the service was stopped", "its worker was not heard of until the lease ran out"];

/** How often work went on at another process than the one that died over it. */
export interface Elsewhere {
  /** Runs that resumed the session of a run whose service had died, at another service. */
  readonly resumed: number;
  /** Those of them whose transcript there had the prompt of the run that was cut off. */
  readonly remembered: number;
  /** Those of them that began because a lease had run out. */
  readonly afterLease: number;
}

/** Counts what went on elsewhere in its own session. */
export function wentElsewhere({ runs, lives }: Pick<Evidence, "runs" | "lives">): Elsewhere {
  const pairs = runs.flatMap((run, index) => {
    const before = runs.slice(0, index).findLast(({ session }) => session === run.session);
    const isElsewhere =
      run.resumed && before?.outcome === "cancelled" && before.owner !== run.owner;
    return isElsewhere && DIED.includes(before.reason ?? "") ? [{ run, before }] : [];
  });
  return {
    resumed: pairs.length,
    remembered: pairs.filter(({ run, before }) =>
      lives.some((life) => life.run === run.id && life.knows.includes(before.id)),
    ).length,
    afterLease: pairs.filter(({ before }) => before.reason === DIED[1]).length,
  };
}

/** Whether an item is being worked on, or is to be. */
export function isBusy({ items }: Pick<Evidence, "items">): boolean {
  return items.some(({ waits, state }) => waits || state === "running" || state === "waiting");
}
