import { createStreamReader, usageOfBody } from "./read-usage.ts";
import type { MeteredRequest } from "./run-meter.ts";
import type { SilenceWatch } from "./silence-watch.ts";

/** An answer that is no stream; no message of the Messages API comes near it. */
const KEPT_BYTES_MAX = 16 * 1024 * 1024;

/**
 * The body of an answer as it is, with a look at each piece that passes. `over` is told at
 * least once, and the first time counts: `left` when the agent went away or read no further, `failed`
 * when the model's server broke off or answered with an error.
 */
export function counted(
  answer: Response,
  report: MeteredRequest["report"],
  silence: SilenceWatch,
  over: (how: "answered" | "failed" | "left") => void,
): ReadableStream<Uint8Array> | null {
  const end = (how: "answered" | "failed" | "left"): void => {
    silence.stop();
    over(answer.ok ? how : "failed");
  };
  if (answer.body === null) {
    end("answered");
    return null;
  }
  // Also when nobody ever asks this body for a piece.
  silence.signal.addEventListener("abort", () => end("left"), { once: true });
  if (silence.signal.aborted) end("left");
  const isStream = answer.headers.get("content-type")?.startsWith("text/event-stream") === true;
  const stream = createStreamReader(report);
  const kept: Uint8Array[] = [];
  let bytes = 0;
  const reader = answer.body.getReader();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        silence.heard();
        if (done) {
          const usage = isStream ? null : usageOfBody(Buffer.concat(kept).toString("utf8"));
          if (usage !== null) report(usage);
          end("answered");
          controller.close();
          return;
        }
        bytes += value.length;
        if (isStream) stream.feed(value);
        else if (answer.ok && bytes <= KEPT_BYTES_MAX) kept.push(value);
        controller.enqueue(value);
      } catch (error) {
        end(silence.signal.aborted ? "left" : "failed");
        controller.error(error);
      }
    },
    async cancel(reason) {
      end("left");
      await reader.cancel(reason);
    },
  });
}
