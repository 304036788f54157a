/** `not_checked`: it could not be known, which is no verdict. */
type FindingState = "ok" | "warning" | "problem" | "not_checked";

/** What a question is about, where it is about one agent or repository. */
export interface About {
  readonly agent?: string;
  readonly repo?: string;
}

/** One small thing that was asked, and what was found. */
export interface Finding {
  /** Name of the check, which stays the same, e.g. `repository.administrator`. */
  readonly id: string;
  readonly agent: string | null;
  readonly repo: string | null;
  readonly asked: string;
  readonly state: FindingState;
  readonly found: string;
  /** What to do about it; null where nothing is to be done. */
  readonly remedy: string | null;
}

/** The four ways a question can be answered. */
export interface Question {
  ok(found: string): Finding;
  warning(found: string, remedy: string): Finding;
  problem(found: string, remedy: string): Finding;
  unchecked(why: string, remedy?: string): Finding;
}

/** A question, to be answered once. */
export function ask(id: string, asked: string, about: About = {}): Question {
  const { agent = null, repo = null } = about;
  const answer = (state: FindingState, found: string, remedy: string | null): Finding => ({
    ...{ id, agent, repo, asked },
    ...{ state, found, remedy },
  });
  return {
    ok: (found) => answer("ok", found, null),
    warning: (found, remedy) => answer("warning", found, remedy),
    problem: (found, remedy) => answer("problem", found, remedy),
    unchecked: (why, remedy) => answer("not_checked", why, remedy ?? null),
  };
}
