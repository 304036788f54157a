/** A server that nobody has a reason to ask, and what it was asked all the same. */
export interface Canary extends AsyncDisposable {
  readonly url: string;
  /** `METHOD /path` of every request. */
  readonly asked: readonly string[];
  /** The addresses in a text that lead here. */
  addressesIn(text: string): readonly string[];
}

export function canary(): Canary {
  const asked: string[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request) => {
      asked.push(`${request.method} ${new URL(request.url).pathname}`);
      return Response.json({});
    },
  });
  const url = `http://127.0.0.1:${server.port}`;
  return {
    url,
    asked,
    addressesIn: (text) =>
      [...text.matchAll(/http:\/\/127\.0\.0\.1:\d+[^"\s\\<>)]*/gu)]
        .map(([address]) => address)
        .filter((address) => address === url || address.startsWith(`${url}/`)),
    [Symbol.asyncDispose]: async () => {
      await server.stop(true);
    },
  };
}

/** The text with the origin of each http address in it replaced by the canary's. */
export function leadingTo(at: Canary, text: string): string {
  return text.replace(/https?:\/\/[\w.-]+(?::\d+)?/gu, at.url);
}
