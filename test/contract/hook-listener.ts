import { at } from "./forge-client.ts";

/** One webhook as it came in; `raw` are the bytes that are signed. */
export type ReceivedEvent = {
  eventType: string;
  action: string;
  /** Number of the issue or pull request, 0 for events about refs. */
  number: number;
  ref: string;
  headers: Record<string, string>;
  raw: Buffer;
  body: unknown;
};

export type HookListener = {
  url: string;
  events: ReceivedEvent[];
  stop: () => Promise<void>;
};

/** Opens a listener on loopback that answers every webhook with 202 and keeps it. */
export function openHookListener(): HookListener {
  const events: ReceivedEvent[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: async (request) => {
      const raw = Buffer.from(await request.arrayBuffer());
      const body: unknown = JSON.parse(raw.toString("utf8"));
      events.push({
        eventType: request.headers.get("X-Forgejo-Event-Type") ?? "",
        action: String(at(body, "action") ?? ""),
        number: Number(at(body, "number") ?? at(body, "issue.number") ?? 0),
        ref: String(at(body, "ref") ?? ""),
        headers: Object.fromEntries(request.headers),
        raw,
        body,
      });
      return new Response("", { status: 202 });
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}/hook`,
    events,
    stop: () => server.stop(true),
  };
}
