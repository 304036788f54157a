import { join } from "node:path";
import type { ItemRef } from "../domain/snapshot.ts";
import { removeTree } from "../git/remove-tree.ts";
import type { SessionsControl } from "../http/admin-options.ts";
import type { Agent } from "../ports/agent.ts";
import type { SessionDrop } from "../ports/store/conversations.ts";
import type { Store } from "../ports/store.ts";
import type { TranscriptStore } from "../ports/transcripts.ts";
import { sessionKey } from "../sessions/key.ts";
import { dropAllForIssue, dropSession, type SessionStore } from "../sessions/store.ts";

/** What a session consists of: its row, its transcript here, and the one that hosts share. */
export interface SessionParts {
  readonly stateDir: string;
  readonly store: Store;
  readonly sessions: SessionStore;
  /** Null: each conversation is kept in the state directory only. */
  readonly shared: Pick<TranscriptStore, "dropConversations"> | null;
  /** Directory of one session. */
  readonly home: (item: ItemRef, agent: string) => string;
  readonly agent: Pick<Agent, "readTranscript">;
  readonly redact: (text: string) => string;
}

/** Dropping whole sessions, for the end of a work item (`dropItem`) and for an operator. */
export function createSessionControl(parts: SessionParts): SessionsControl & {
  /** Drops every agent's session of an item with its transcript; resolves with how many there were. */
  readonly dropItem: (item: ItemRef, why: SessionDrop) => Promise<number>;
} {
  const { store, sessions, shared } = parts;
  const dropItem = async (item: ItemRef, why: SessionDrop): Promise<number> => {
    const all = await store.sessions.all();
    const keys = all
      .filter(({ repo, number }) => repo === item.repo && number === item.number)
      .map(({ key }) => key);
    await store.conversations.ending(keys, why);
    // Before the rows: if it fails, they still say what is left to be dropped.
    for (const key of keys) await shared?.dropConversations(key);
    const dropped = await dropAllForIssue(sessions, item.repo, item.number);
    await removeTree(join(parts.stateDir, "claude", item.repo, `${item.number}`));
    return dropped;
  };
  return {
    dropItem,
    reset: async (agent, repo, number) => {
      const item: ItemRef = {
        repo: repo.toLowerCase(),
        number: (await store.pulls.itemOf(repo.toLowerCase(), number)) ?? number,
      };
      const { runs } = await store.ledger.read(item);
      if (runs.some((one) => one.agent === agent && one.endedAt === null)) return "running";
      // A run that is still being prepared has read the session already.
      if ((await store.work.runningAgent(item)) === agent) return "running";
      const key = sessionKey(agent, item.repo, item.number);
      await store.conversations.ending([key], "reset");
      await shared?.dropConversations(key);
      const existed = await dropSession(sessions, key);
      await removeTree(parts.home(item, agent));
      return existed;
    },
    resetItem: async (item) => {
      const { runs } = await store.ledger.read(item);
      if (runs.some(({ endedAt }) => endedAt === null)) return "running";
      if ((await store.work.runningAgent(item)) !== null) return "running";
      return await dropItem(item, "reset");
    },
    transcript: async ({ key, agent, repo, number, sessionId }) => {
      const place = { key, home: parts.home({ repo, number }, agent) };
      return await parts.agent.readTranscript(place, sessionId, parts.redact);
    },
  };
}
