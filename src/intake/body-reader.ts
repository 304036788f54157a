/** Up to this declared length a body is read in one piece; above it, as it arrives. */
const ONE_PIECE_BYTES = 64 * 1024;

/** Limits of reading request bodies. */
export interface BodyLimits {
  /** The largest body, in bytes. */
  readonly bodyBytes: number;
  /** How long a body may take to arrive, in milliseconds. */
  readonly bodyMs: number;
  /** The most bytes of all unfinished bodies together. */
  readonly openBytes: number;
}

/** A body, or why there is none; `gone`: the client went away. */
export type BodyReading =
  | { readonly ok: true; readonly bytes: Uint8Array }
  | { readonly ok: false; readonly why: "too_large" | "too_slow" | "too_many" | "gone" };

/**
 * Returns a function that reads a request's body within the limits. Bun bounds
 * neither the time of a dripping body nor the memory of many (measured with Bun 1.4.5: a byte a
 * second keeps a connection open for ever), hence the deadline and the common budget.
 */
export function createBodyReader(limits: BodyLimits): (request: Request) => Promise<BodyReading> {
  const budget = { openBytes: 0 };
  return async (request) => {
    const declared = declaredLength(request.headers);
    if (declared !== null && declared > limits.bodyBytes) {
      return { ok: false, why: "too_large" };
    }
    let timer: ReturnType<typeof setTimeout> | undefined;
    const deadline = new Promise<"late">((resolve) => {
      timer = setTimeout(resolve, limits.bodyMs, "late");
    });
    const held = { bytes: 0 };
    const take = (bytes: number): boolean => {
      held.bytes += bytes;
      budget.openBytes += bytes;
      return budget.openBytes <= limits.openBytes;
    };
    try {
      return declared !== null && declared <= ONE_PIECE_BYTES
        ? await readOnePiece(request, { declared, deadline, take })
        : await readPieces(request, { most: limits.bodyBytes, deadline, take });
    } catch {
      // Reading fails only by the sender: a disconnect and broken chunks end a body with an
      // AbortError (measured with Bun 1.4.5), and another name would mean nothing else.
      return { ok: false, why: "gone" };
    } finally {
      clearTimeout(timer);
      budget.openBytes -= held.bytes;
    }
  };
}

/** The declared length in bytes; null when the body comes in chunks. */
function declaredLength(headers: Headers): number | null {
  const value = headers.get("content-length");
  return value === null ? null : Number(value);
}

async function readOnePiece(
  request: Request,
  by: { declared: number; deadline: Promise<"late">; take: (bytes: number) => boolean },
): Promise<BodyReading> {
  if (!by.take(by.declared)) {
    return { ok: false, why: "too_many" };
  }
  const bytes = await Promise.race([request.arrayBuffer(), by.deadline]);
  return bytes === "late"
    ? { ok: false, why: "too_slow" }
    : { ok: true, bytes: new Uint8Array(bytes) };
}

async function readPieces(
  request: Request,
  by: { most: number; deadline: Promise<"late">; take: (bytes: number) => boolean },
): Promise<BodyReading> {
  if (request.body === null) {
    return { ok: true, bytes: new Uint8Array(0) };
  }
  const pieces: Uint8Array[] = [];
  let size = 0;
  const reader = request.body.getReader();
  for (;;) {
    const next = await Promise.race([reader.read(), by.deadline]);
    if (next === "late") {
      await reader.cancel();
      return { ok: false, why: "too_slow" };
    }
    if (next.done) {
      return { ok: true, bytes: Buffer.concat(pieces, size) };
    }
    pieces.push(next.value);
    size += next.value.byteLength;
    const affordable = by.take(next.value.byteLength);
    if (size > by.most || !affordable) {
      await reader.cancel();
      return { ok: false, why: size > by.most ? "too_large" : "too_many" };
    }
  }
}
