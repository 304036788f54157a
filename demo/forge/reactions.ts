import { Hono } from "hono";
import { z } from "zod";
import {
  type ForgeContext,
  type ForgeEnv,
  issueOf,
  Refusal,
  readBody,
  repoOf,
  signedIn,
} from "./answers.ts";
import { commentOf } from "./comments.ts";
import type { Forge } from "./forge.ts";
import { type Payload, time, userPayload } from "./payloads.ts";
import type { Reaction } from "./state.ts";

const ALLOWED = ["+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes"];
const ReactionBody = z.object({ content: z.string() });

/** @returns the routes of reactions; no webhook tells of them. */
export function reactionRoutes(forge: Forge): Hono<ForgeEnv> {
  const app = new Hono<ForgeEnv>();
  const places: [string, (c: ForgeContext) => { reactions: Reaction[] }][] = [
    ["/repos/:owner/:repo/issues/:index{[0-9]+}/reactions", (c) => issueOf(repoOf(forge, c), c)],
    [
      "/repos/:owner/:repo/issues/comments/:id{[0-9]+}/reactions",
      (c) => commentOf(repoOf(forge, c), c).row,
    ],
  ];
  for (const [path, holderOf] of places) {
    app.get(path, (c) => {
      const { reactions } = holderOf(c);
      return c.json(
        reactions.length === 0 ? null : reactions.map((one) => reactionPayload(forge, one)),
      );
    });
    app.post(path, async (c) => {
      const holder = holderOf(c);
      const user = signedIn(c);
      const { content } = await readBody(c, ReactionBody);
      if (!ALLOWED.includes(content))
        throw new Refusal(403, `'${content}' is not an allowed reaction`);
      const existing = holder.reactions.find(
        (one) => one.user.id === user.id && one.content === content,
      );
      if (existing !== undefined) return c.json(reactionPayload(forge, existing));
      const reaction: Reaction = { user, content, createdAt: forge.now() };
      holder.reactions.push(reaction);
      return c.json(reactionPayload(forge, reaction), 201);
    });
    app.delete(path, async (c) => {
      const holder = holderOf(c);
      const user = signedIn(c);
      const { content } = await readBody(c, ReactionBody);
      holder.reactions = holder.reactions.filter(
        (one) => one.user.id !== user.id || one.content !== content,
      );
      return c.body(null, 200);
    });
  }
  return app;
}

function reactionPayload(forge: Forge, reaction: Reaction): Payload {
  return {
    user: userPayload(forge, reaction.user),
    content: reaction.content,
    created_at: time(reaction.createdAt),
  };
}
