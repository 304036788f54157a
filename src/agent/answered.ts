import { TranscriptFailure } from "../ports/transcripts.ts";

/** What the store answers, if it does so within `ms`. Throws TranscriptFailure `unavailable` if not, and what the promise rejects with. */
export async function answered<T>(ms: number, answer: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () =>
        reject(
          new TranscriptFailure("unavailable", `the transcripts did not answer within ${ms} ms`),
        ),
      ms,
    );
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}
