import { expect, test } from "bun:test";
import { serve } from "../../src/http/serve.ts";

const ignore = (): void => undefined;
const log = { debug: ignore, info: ignore, warn: ignore, error: ignore };

test("a port that is taken is refused, not shared", async () => {
  const options = {
    listen: { host: "127.0.0.1", port: 0 },
    maxRequestBodySize: 1024,
    log,
    fetch: () => new Response("first"),
  };
  const first = serve(options);
  try {
    expect(() => serve({ ...options, listen: { host: "127.0.0.1", port: first.port } })).toThrow(
      /in use/u,
    );
  } finally {
    await first.stop(true);
  }
});
