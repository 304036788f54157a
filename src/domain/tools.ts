/** The tools through which an agent asks the service to act; the agent sees them as `mcp__forge__<tool>`. */
export type ToolName =
  | "open_pull_request"
  | "hand_in"
  | "submit_review"
  | "request_merge"
  | "decline_merge"
  | "reply"
  | "ask_human";

/** A line comment of a review: `line` counts in the new version of the file. */
interface LineRemark {
  readonly path: string;
  readonly line: number;
  readonly body: string;
}

/** An answer to one comment of a review, by the comment's id on the forge. */
interface ThreadAnswer {
  readonly comment_id: number;
  readonly body: string;
}

/** What the model may pass to each tool; the agent adapter validates it before the service sees it. */
export interface ToolInputs {
  readonly open_pull_request: { readonly title: string; readonly body: string };
  readonly hand_in: {
    readonly summary: string;
    readonly answers?: readonly ThreadAnswer[] | undefined;
  };
  readonly submit_review: {
    readonly verdict: "approve" | "request_changes" | "comment";
    readonly body: string;
    readonly comments?: readonly LineRemark[] | undefined;
  };
  readonly request_merge: { readonly summary: string };
  readonly decline_merge: { readonly reason: string };
  readonly reply: { readonly body: string };
  readonly ask_human: { readonly question: string };
}

/** One call of a tool with its validated input. */
export type ToolCall = {
  readonly [Name in ToolName]: { readonly tool: Name; readonly input: ToolInputs[Name] };
}[ToolName];

/** What the model reads back: one line of text; `ok: false` becomes an error result that says why. */
export interface ToolAnswer {
  readonly ok: boolean;
  readonly text: string;
}
