import type { Mark } from "../ports/store/marks.ts";
import type { Reading } from "./payload.ts";

/** What the configuration says about whom a delivery may concern. */
export interface Concern {
  readonly agents: () => readonly { readonly name: string; readonly login: string }[];
  /** Takes `owner/name` in lower case. */
  readonly concerns: (repo: string) => boolean;
}

/** The one mark a delivery leaves, or why it leaves none. */
export type Judgement =
  | { readonly mark: Mark; readonly ignored: null }
  | { readonly mark: null; readonly ignored: string };

/**
 * Decides which work item a signed, well-formed delivery marks. It starts nothing: that is decided
 * later from the state of the forge, so a lost or doubled delivery cannot matter.
 */
export function judge({ kind, hint }: Reading, concern: Concern): Judgement {
  if (kind === null) {
    return ignored("event does not concern us");
  }
  if (!concern.concerns(hint.repo)) {
    return ignored("repository is not configured");
  }
  if (hint.action !== null && !kind.actions.has(hint.action)) {
    return ignored("action does not concern us");
  }
  if (isAgent(hint.sender, concern) && hint.action !== null && kind.echoes.has(hint.action)) {
    return ignored("own echo");
  }
  if (hint.target === null) {
    return ignored("ref is not a branch");
  }
  return { mark: { repo: hint.repo, target: hint.target }, ignored: null };
}

function ignored(reason: string): Judgement {
  return { mark: null, ignored: reason };
}

/** Logins of Forgejo and Gitea differ by more than case (models/user: lower_name is unique). */
function isAgent(sender: string | null, concern: Concern): boolean {
  const login = sender?.toLowerCase();
  return concern.agents().some((agent) => agent.login.toLowerCase() === login);
}
