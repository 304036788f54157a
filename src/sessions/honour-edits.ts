import type { LogFields } from "../ports/observe.ts";
import type { SeenLine, SessionLine, SessionLines, SessionRow } from "../ports/store/sessions.ts";
import { digestLine, type FileLine, type FileSessions, formatLine } from "./mirror-format.ts";

/** Sessions compared in one turn. */
const PAGE_ROWS = 500;

/** Edits reported one by one; of more, only their number. */
const REPORTED_MAX = 1000;

/** What the file says of one key: what is to be settled, and what a person should hear. */
interface EditVerdict {
  readonly seen: SeenLine | null;
  readonly report: Report | null;
}

interface Report {
  readonly message: string;
  readonly fields: LogFields;
}

/**
 * Takes over what a person did to `sessions.json` while no process wrote it, and records what stands
 * there. A line is an edit only if it is none of those we wrote or were writing, a missing line is a
 * deletion only if it stood in the file, an unknown line is an addition; everything else is our own
 * older copy. An edited line counts as it stands: session id, tainted, resumes and times; what it
 * leaves out stays. Another session id begins with a cost of 0, as nobody knows what it has cost.
 * Taint that the file never showed (a kill came first) stays: nobody can have taken that away.
 * An added line is tainted unless it says otherwise. `now` is epoch ms. Resolves with the number of
 * changes.
 */
export async function honourEdits(options: {
  readonly lines: SessionLines;
  readonly owner: number;
  readonly file: FileSessions;
  readonly now: number;
  readonly report: (message: string, fields: LogFields) => void;
}): Promise<number> {
  const { lines, owner, file, now } = options;
  const unmatched = new Map(file.lines.map((line) => [line.key, line]));
  const damaged = damagedKeys(file);
  const reporter = limitReports(options.report);
  const settle = async (verdicts: readonly EditVerdict[]): Promise<boolean> => {
    const seen = verdicts.flatMap((verdict) => verdict.seen ?? []);
    if (seen.length > 0 && !(await lines.settle(owner, seen))) return false;
    for (const { report } of verdicts) if (report !== null) reporter.say(report);
    return true;
  };
  for (let after = ""; ; ) {
    const page = await lines.page(after, PAGE_ROWS);
    const verdicts = page.map((entry) => {
      const line = unmatched.get(entry.key);
      unmatched.delete(entry.key);
      return line === undefined ? judgeMissing(entry, damaged) : judgeLine(entry, line, now);
    });
    if (!(await settle(verdicts))) return reporter.end();
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE_ROWS) break;
    after = last.key;
  }
  await settle([...unmatched.values()].map((line) => add(fillIn(line, null, now))));
  return reporter.end();
}

/** A line that is not there. */
function judgeMissing(entry: SessionLine, damaged: (key: string) => boolean): EditVerdict {
  const { key, session, written, writing } = entry;
  if (damaged(key)) return { seen: null, report: null };
  const stoodThere = written !== null && writing !== "";
  if (session === null || !stoodThere) return observed(entry, null);
  return {
    seen: { key, written: null, change: { kind: "drop" } },
    report: say("a session was removed by hand from sessions.json and is forgotten", session),
  };
}

function judgeLine(entry: SessionLine, line: FileLine, now: number): EditVerdict {
  const { key, session, written, writing } = entry;
  const edited = fillIn(line, session, now);
  const digest = digestLine(formatLine(edited));
  if (digest === written || digest === writing) return observed(entry, digest);
  if (session === null) return add(edited);
  const ours = digestLine(formatLine(session));
  if (digest === ours) return observed(entry, digest);
  const wasNeverThere = written === null && (writing === null || writing === "");
  if (wasNeverThere) {
    const message =
      "a line of sessions.json differs from a session it has never shown; the database holds";
    return { ...observed(entry, digest), report: say(message, session) };
  }
  const wasShown = ours === written || ours === writing;
  const tainted = edited.tainted || (session.tainted && !wasShown);
  const next = { ...edited, tainted };
  return {
    seen: { key, written: digest, change: { kind: "put", session: next } },
    report: say("a session was changed by hand in sessions.json", next, {
      changed: changesOf(session, next),
    }),
  };
}

function add(session: SessionRow): EditVerdict {
  const written = digestLine(formatLine(session));
  return {
    seen: { key: session.key, written, change: { kind: "put", session } },
    report: say("a session was added by hand to sessions.json", session, {
      tainted: session.tainted,
    }),
  };
}

/** The session as it is, and what stands in the file now. */
function observed({ key, written, writing }: SessionLine, digest: string | null): EditVerdict {
  const isKnown = written === digest && writing === null;
  return {
    seen: isKnown ? null : { key, written: digest, change: { kind: "none" } },
    report: null,
  };
}

/** The line as a session; what it leaves out comes from the session it was written over, or begins anew. */
function fillIn(line: FileLine, session: SessionRow | null, now: number): SessionRow {
  const isSame = session?.sessionId === line.sessionId;
  return {
    key: line.key,
    agent: line.agent,
    repo: line.repo,
    number: line.number,
    sessionId: line.sessionId,
    createdAt: line.createdAt ?? session?.createdAt ?? now,
    updatedAt: line.updatedAt ?? session?.updatedAt ?? now,
    resumes: line.resumes ?? session?.resumes ?? 0,
    tainted: line.tainted ?? session?.tainted ?? true,
    usdTotal: isSame && session !== null ? session.usdTotal : 0,
  };
}

/** Which keys a damaged line may have been meant for: all, when one tells no key at all. */
function damagedKeys({ skipped }: FileSessions): (key: string) => boolean {
  const keys = new Set(skipped.flatMap((entry) => entry.keys));
  const isAnyNameless = skipped.some((entry) => entry.keys.length === 0);
  return (key) => isAnyNameless || keys.has(key);
}

function changesOf(before: SessionRow, after: SessionRow): string {
  const pairs = [
    ["session_id", before.sessionId, after.sessionId],
    ["tainted", before.tainted, after.tainted],
    ["resumes", before.resumes, after.resumes],
    ["created_at", before.createdAt, after.createdAt],
    ["updated_at", before.updatedAt, after.updatedAt],
  ] as const;
  return pairs
    .filter(([, from, to]) => from !== to)
    .map(([name, from, to]) => `${name} ${from} → ${to}`)
    .join(", ");
}

function say(message: string, session: SessionRow, fields: LogFields = {}): Report {
  const { key, agent, repo, number, sessionId } = session;
  return { message, fields: { key, agent, repo, number, session: sessionId, ...fields } };
}

function limitReports(report: (message: string, fields: LogFields) => void): {
  say(one: Report): void;
  /** Reports how many were not named; returns how many there were. */
  end(): number;
} {
  let count = 0;
  return {
    say({ message, fields }) {
      count += 1;
      if (count <= REPORTED_MAX) report(message, fields);
    },
    end() {
      if (count > REPORTED_MAX) {
        report("more was changed by hand in sessions.json", { count: count - REPORTED_MAX });
      }
      return count;
    },
  };
}
