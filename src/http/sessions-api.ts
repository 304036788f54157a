import type { Hono } from "hono";
import type { SessionRow } from "../ports/store/sessions.ts";
import { sessionKey } from "../sessions/key.ts";
import type { AdminOptions } from "./admin-options.ts";
import { agentName, readRef, resolve } from "./references.ts";
import { conversationOut, sessionOut } from "./wire.ts";

/** Of a session with a longer history the newest conversations are told. */
const HISTORY_MAX = 20;
const PATH = "/api/v1/sessions/:agent/:owner/:repo/:number";
const WRONG_PATH = { error: "path: must be sessions/<agent>/<owner>/<repo>/<number>" };

/** Sessions as the API shows them, in the given order. */
export async function sessionsOut(rows: readonly SessionRow[], { store, now }: AdminOptions) {
  const current = await store.conversations.current(rows.map(({ key }) => key));
  return rows.map((row) => sessionOut(row, current.get(row.key), now()));
}

/**
 * Adds one session with its history (also one that was dropped: then the fields of the session are
 * left out), and the conversation itself.
 */
export function addSessionReads(api: Hono, options: AdminOptions): void {
  const { store } = options;
  api.get(PATH, async (context) => {
    const place = await placeOf(context.req.param(), options);
    if (place === null) return context.json(WRONG_PATH, 400);
    const { key, words } = place;
    const history = await store.conversations.of(key, HISTORY_MAX);
    const row = await store.sessions.get(key);
    if (row === null && history.length === 0) {
      return context.json({ error: `${words} has no session` }, 404);
    }
    const [session] = row === null ? [] : await sessionsOut([row], options);
    return context.json({ key, ...session, history: history.map(conversationOut) });
  });
  api.get(`${PATH}/transcript`, async (context) => {
    const place = await placeOf(context.req.param(), options);
    if (place === null) return context.json(WRONG_PATH, 400);
    const { key, words } = place;
    const session = await store.sessions.get(key);
    const transcript = session === null ? null : await options.sessions.transcript(session);
    return session === null || transcript === null
      ? context.json({ error: `${words} has no conversation that is kept` }, 404)
      : context.json({ key, session_id: session.sessionId, transcript });
  });
}

/** The key a path stands for, and its words for people; null for a path that names nothing. */
async function placeOf(
  param: { agent: string; owner: string; repo: string; number: string },
  options: AdminOptions,
): Promise<{ readonly key: string; readonly words: string } | null> {
  const agent = agentName.safeParse(param.agent);
  const given = readRef(param);
  if (!agent.success || given === null) return null;
  // `.` and `..` pass as a name of a repository, but not in a key.
  if (given.repo.split("/").some((part) => /^\.+$/.test(part))) return null;
  const { repo, number } = await resolve(given, options);
  return {
    key: sessionKey(agent.data, repo, number),
    words: `agent ${agent.data} on ${repo}#${number}`,
  };
}
