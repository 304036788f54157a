import { rm } from "node:fs/promises";
import { transcriptFiles } from "./has-transcript.ts";

/**
 * Deletes the transcripts of a conversation that nobody resumes any more; resolves with how many
 * there were. Call it while no process of the session lives: the agent writes in that directory, and
 * what is no link now must still be none a moment later.
 */
export async function dropTranscript(home: string, sessionId: string): Promise<number> {
  const files = await transcriptFiles(home, sessionId);
  for (const file of files) await rm(file, { force: true });
  return files.length;
}
