import { z } from "zod";
import type { ToolInputs, ToolName } from "../domain/tools.ts";

/** The limits of Forgejo's API lie far above; these are what a person still reads. */
const TITLE_CHARS_MAX = 255;
const BODY_CHARS_MAX = 20_000;
const LIST_LENGTH_MAX = 100;
const PATH_CHARS_MAX = 1_000;
const ID_MAX = Number.MAX_SAFE_INTEGER;
const LINE_MAX = 10_000_000;

const title = z.string().trim().min(1).max(TITLE_CHARS_MAX);
const body = z.string().trim().min(1).max(BODY_CHARS_MAX);

/** One tool as the model sees it. `input` refuses keys it does not know. */
export interface ForgeTool<Name extends ToolName = ToolName> {
  readonly description: string;
  readonly input: z.ZodType<ToolInputs[Name]>;
}

/** Every tool of the server `forge`; the texts count in the first request of every session. */
export const FORGE_TOOLS: { readonly [Name in ToolName]: ForgeTool<Name> } = {
  open_pull_request: {
    description: "Push your commits and open the pull request for this issue.",
    input: z.strictObject({ title, body }),
  },
  hand_in: {
    description:
      "Push your commits if there are any, answer review comments by their id, and ask the reviewers to look again.",
    input: z.strictObject({
      summary: body,
      answers: z
        .array(z.strictObject({ comment_id: z.int().min(1).max(ID_MAX), body }))
        .max(LIST_LENGTH_MAX)
        .optional(),
    }),
  },
  submit_review: {
    description:
      "Submit your review of this pull request. `line` counts in the new version of the file.",
    input: z.strictObject({
      verdict: z.enum(["approve", "request_changes", "comment"]),
      body,
      comments: z
        .array(
          z.strictObject({
            path: z.string().min(1).max(PATH_CHARS_MAX),
            line: z.int().min(1).max(LINE_MAX),
            body,
          }),
        )
        .max(LIST_LENGTH_MAX)
        .optional(),
    }),
  },
  request_merge: {
    description: "Ask the service to merge this pull request; it checks the rules once more.",
    input: z.strictObject({ summary: body }),
  },
  decline_merge: {
    description: "Decline the merge of this pull request at its present head, with the reason.",
    input: z.strictObject({ reason: body }),
  },
  reply: {
    description: "Write a comment in this conversation.",
    input: z.strictObject({ body }),
  },
  ask_human: {
    description: "Ask a person a question you cannot go on without; then stop.",
    input: z.strictObject({ question: body }),
  },
};
