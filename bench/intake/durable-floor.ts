import { createHmac, timingSafeEqual } from "node:crypto";
import { fdatasync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { SECRET } from "./payload.ts";

/**
 * `bun bench/intake/durable-floor.ts <dir>`: the floor, and before each answer a line of 100 bytes in a file
 * and on the disk; requests that come during one sync share the next. It looks for no duplicate, keeps no
 * order and has no database: what it takes longer than the floor is the disk alone.
 */
const [dir = ""] = process.argv.slice(2);
const file = openSync(join(dir, "lines"), "w");
const line = Buffer.alloc(100, "-");
const sync = promisify(fdatasync);
let current: Promise<void> = Promise.resolve();
let next: Promise<void> | null = null;

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
    writeSync(file, line);
    next ??= current.then(begin);
    await next;
    return Response.json({ status: action }, { status: 202 });
  },
});
console.log(`${server.url.origin}/webhook`);

function begin(): Promise<void> {
  next = null;
  current = sync(file);
  return current;
}
