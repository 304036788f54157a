import type { Agent, AgentRequest } from "../ports/agent.ts";
import type { Log } from "../ports/observe.ts";
import type { TranscriptStore } from "../ports/transcripts.ts";
import { answered } from "./answered.ts";
import { clearRemains } from "./clear-remains.ts";
import { dropTranscript } from "./drop-transcript.ts";
import { hasTranscript } from "./has-transcript.ts";
import { holdsPrompt } from "./holds-prompt.ts";
import { layOutTranscript } from "./lay-out-transcript.ts";
import { readTranscript, renderBackwards } from "./read-transcript.ts";
import { hasStored, holdsStored, storedBackwards } from "./stored-transcripts.ts";
import {
  MIRROR_LIMITS,
  type MirrorLimits,
  openTranscriptMirror,
  type TranscriptMirror,
} from "./transcript-mirror.ts";

const ANSWER_MS_MAX = 10_000;

/** What hosts share transcripts with. */
export interface SharedTranscripts {
  readonly store: TranscriptStore;
  readonly log: Log;
  readonly limits?: MirrorLimits;
}

/** Where the conversations are. */
export interface Transcripts
  extends Pick<Agent, "hasTranscript" | "holdsPrompt" | "dropTranscript" | "readTranscript"> {
  /**
   * Makes the session's directory ready for the CLI, before each query; gives what its lines are
   * written to, or null. Throws TranscriptFailure and what the database or the file system says.
   */
  prepare(request: AgentRequest): Promise<TranscriptMirror | null>;
}

/** The files in the sessions' directories are the truth. */
export function localTranscripts(): Transcripts {
  return {
    hasTranscript: ({ home }, sessionId) => hasTranscript(home, sessionId),
    holdsPrompt: ({ home }, sessionId, runId) => holdsPrompt(home, sessionId, runId),
    dropTranscript: ({ home }, sessionId) => dropTranscript(home, sessionId),
    readTranscript: ({ home }, sessionId, redact) => readTranscript(home, sessionId, redact),
    async prepare({ home, session }) {
      if (!session.resume) await clearRemains(home, session.id);
      return null;
    },
  };
}

/** The store is the truth; the files are copies to work on, and are never asked what there is. */
export function sharedTranscripts({
  store,
  log,
  limits = MIRROR_LIMITS,
}: SharedTranscripts): Transcripts {
  let lastEntry = 0;
  return {
    hasTranscript: ({ key }, id) => hasStored(store, { session: key, id }),
    holdsPrompt: ({ key }, id, runId) => holdsStored(store, { session: key, id }, runId),
    async dropTranscript({ key, home }, id) {
      await dropTranscript(home, id);
      return (await answered(ANSWER_MS_MAX, store.drop({ session: key, id }))) ? 1 : 0;
    },
    async readTranscript({ key }, id, redact) {
      const of = { session: key, id };
      if (!(await hasStored(store, of))) return null;
      return await renderBackwards(storedBackwards(store, of), redact);
    },
    async prepare({ home, session, keeping }) {
      if (keeping === undefined)
        throw new Error("a run names no claim to keep its transcript under");
      const { holder, holdsLease } = keeping;
      const key = { session: keeping.session, id: session.id };
      // Before it is read: what an older holder still writes is refused from here on.
      await answered(ANSWER_MS_MAX, store.take(key.session, holder));
      await layOutTranscript(store, key, home);
      const newEntryId = () => {
        lastEntry += 1;
        return `${holder.owner}:${holder.fence}:${lastEntry}`;
      };
      return openTranscriptMirror({
        transcripts: store,
        key,
        holder,
        holdsLease,
        newEntryId,
        limits,
        log,
      });
    },
  };
}
