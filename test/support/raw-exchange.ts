import { connect } from "node:net";

/** What came back over a socket until it was closed or one whole answer had arrived. */
export interface RawAnswer {
  readonly text: string;
  /** The status of the first answer that is not 100; null: closed without one. */
  readonly status: number | null;
  readonly closed: boolean;
}

export interface RawWish {
  readonly port: number;
  /** Sent one after the other, `gapMs` apart, until an answer is there. */
  readonly pieces: readonly (string | Uint8Array)[];
  readonly gapMs?: number;
  /** Wait for the close, not only for the answer. */
  readonly untilClosed?: boolean;
}

const DEADLINE_MS = 15_000;

/** Speaks bytes to a listener, for what no HTTP client would send. Fails after 15 s. */
export async function rawExchange(wish: RawWish): Promise<RawAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<RawAnswer>();
  const socket = connect(wish.port, "127.0.0.1");
  const pieces = [...wish.pieces];
  let text = "";
  const done = (closed: boolean) => resolve({ text, status: statusOf(text), closed });
  const timer = setTimeout(() => reject(new Error(`no answer in time; got: ${text}`)), DEADLINE_MS);
  let feeding: ReturnType<typeof setTimeout> | undefined;
  const feed = () => {
    const piece = pieces.shift();
    if (piece === undefined || socket.destroyed) {
      return;
    }
    socket.write(piece, () => {
      feeding = setTimeout(feed, wish.gapMs ?? 0);
    });
  };
  socket.on("connect", feed);
  socket.on("data", (data) => {
    text += data.toString("latin1");
    if (wish.untilClosed !== true && isWhole(text)) {
      done(false);
    }
  });
  socket.on("close", () => done(true));
  socket.on("error", () => done(true));
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    clearTimeout(feeding);
    socket.destroy();
  }
}

function finalAnswer(text: string): string {
  return text.replace(/^(?:HTTP\/1\.1 100 [^\r]*\r\n\r\n)+/, "");
}

function statusOf(text: string): number | null {
  const status = /^HTTP\/1\.[01] (\d{3})/.exec(finalAnswer(text))?.[1];
  return status === undefined ? null : Number(status);
}

function isWhole(text: string): boolean {
  const [head, body] = finalAnswer(text).split("\r\n\r\n", 2);
  const length = /\r\ncontent-length: (\d+)/i.exec(head ?? "")?.[1];
  return body !== undefined && body.length >= Number(length ?? 0);
}
