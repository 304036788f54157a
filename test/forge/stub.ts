import { createForge, type ForgeClient, type ForgeOptions } from "../../src/forge/create-forge.ts";
import { recordingLog } from "../git/workbench.ts";

interface Seen {
  readonly call: string;
  readonly body: unknown;
  readonly authorization: string | null;
}

/** A forge that answers as a test says, for the answers a real one seldom gives. */
export interface Stub extends AsyncDisposable {
  readonly url: string;
  readonly seen: Seen[];
  readonly warnings: string[];
  client(change?: Partial<ForgeOptions>): ForgeClient;
}

export function stub(
  answer: (request: Request, count: number) => Response | Promise<Response>,
): Stub {
  const seen: Seen[] = [];
  const warnings: string[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: async (request) => {
      const url = new URL(request.url);
      const text = await request.clone().text();
      seen.push({
        call: `${request.method} ${url.pathname.replace("/api/v1", "")}${url.search}`,
        body: text === "" ? null : JSON.parse(text),
        authorization: request.headers.get("authorization"),
      });
      return await answer(request, seen.length);
    },
  });
  const url = `http://127.0.0.1:${server.port}`;
  return {
    url,
    seen,
    warnings,
    client: (change) =>
      createForge({
        url,
        kind: "gitea",
        agents: ["boss", "reader"].map((name) => ({
          name,
          login: name,
          token: () => `${name}-token`,
        })),
        readerAgent: "reader",
        now: Date.now,
        requestsPerSecond: 1000,
        log: recordingLog(warnings),
        ...change,
      }),
    [Symbol.asyncDispose]: async () => {
      await server.stop(true);
    },
  };
}
