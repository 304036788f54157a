import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { transcriptFiles } from "./has-transcript.ts";

const BYTES_MAX = 256 * 1024 * 1024;
const PIECE_BYTES = 1024 * 1024;

/**
 * Whether a transcript of the session holds the prompt of this run, whose first line ends with
 * `run <id>, start` or `run <id>, resume`. Measured with CLI 2.1.330: a CLI killed before it has
 * read its input leaves a transcript without the prompt.
 */
export async function holdsPrompt(
  home: string,
  sessionId: string,
  runId: string,
): Promise<boolean> {
  const wanted = Buffer.from(`run ${runId}, `);
  for (const file of await transcriptFiles(home, sessionId)) {
    try {
      if (await contains(file, wanted)) return true;
    } catch (error) {
      // Taken away or swapped for a link meanwhile: then it holds nothing.
      if (!(error instanceof Error && "code" in error)) throw error;
    }
  }
  return false;
}

async function contains(path: string, wanted: Buffer): Promise<boolean> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    if (!(await file.stat()).isFile()) return false;
    const piece = Buffer.alloc(PIECE_BYTES);
    let kept = 0;
    for (let at = 0; at < BYTES_MAX; ) {
      const { bytesRead } = await file.read(piece, kept, PIECE_BYTES - kept, at);
      if (bytesRead === 0) return false;
      at += bytesRead;
      const filled = kept + bytesRead;
      if (piece.subarray(0, filled).includes(wanted)) return true;
      // The words may be cut by the end of a piece.
      kept = Math.min(filled, wanted.length - 1);
      piece.copyWithin(0, filled - kept, filled);
    }
    return false;
  } finally {
    await file.close();
  }
}
