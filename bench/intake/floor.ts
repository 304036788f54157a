import { createHmac, timingSafeEqual } from "node:crypto";
import { SECRET } from "./payload.ts";

/** The least a receiver on Bun can do: check the signature, parse, answer. It keeps nothing. */
const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  development: false,
  async fetch(request) {
    const bytes = Buffer.from(await request.arrayBuffer());
    const expected = createHmac("sha256", SECRET).update(bytes).digest();
    const given = Buffer.from(request.headers.get("x-forgejo-signature") ?? "", "hex");
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
      return new Response("no", { status: 401 });
    }
    const { action } = JSON.parse(bytes.toString("utf8"));
    return Response.json({ status: action }, { status: 202 });
  },
});
console.log(`${server.url.origin}/webhook`);
