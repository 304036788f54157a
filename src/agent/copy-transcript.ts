import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { z } from "zod";
import { JsonFailure, parseJson } from "../json/parse.ts";
import type {
  TranscriptEntry,
  TranscriptHolder,
  TranscriptKey,
  TranscriptStore,
} from "../ports/transcripts.ts";

const LINES_MAX = 200;
const entrySchema = z.object({ uuid: z.string().min(1).max(200).optional() });

/**
 * Copies a transcript of the CLI's into the store that hosts share; resolves with how many lines were
 * new there. Its lines are named by their own ids, or by their place, so doing it again changes
 * nothing. It ends before the first line that is no JSON: the CLI was killed while it wrote that.
 */
export async function copyTranscript(
  transcripts: TranscriptStore,
  of: { readonly key: TranscriptKey; readonly holder: TranscriptHolder; readonly file: string },
): Promise<number> {
  const { key, holder } = of;
  await transcripts.take(key.session, holder);
  // The agent could write where it lies.
  const file = await open(of.file, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    let piece: TranscriptEntry[] = [];
    let at = 0;
    let copied = 0;
    for await (const text of file.readLines()) {
      at += 1;
      const id = idOf(text, at);
      if (id === null) break;
      piece.push({ id, text });
      if (piece.length < LINES_MAX) continue;
      copied += await transcripts.append(key, holder, piece);
      piece = [];
    }
    return copied + (await transcripts.append(key, holder, piece));
  } finally {
    await file.close();
  }
}

function idOf(text: string, at: number): string | null {
  try {
    const entry = entrySchema.safeParse(parseJson(text));
    return entry.success ? (entry.data.uuid ?? `line ${at}`) : null;
  } catch (error) {
    if (error instanceof JsonFailure) return null;
    throw error;
  }
}
