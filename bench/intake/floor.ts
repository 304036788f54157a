import { createHmac, timingSafeEqual } from "node:crypto";
import { fdatasync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { SECRET } from "./payload.ts";

/**
 * `bun bench/intake/floor.ts [dir]`: the least a receiver on Bun can do: check the signature, parse, answer.
 * Without `dir` it keeps nothing. With it a line of 100 bytes is in a file there, and on the disk, before
 * each answer; requests that come during one sync share the next. It looks for no duplicate and has no
 * database: what that takes longer is the disk alone.
 */
const [dir] = process.argv.slice(2);
const keep = dir === undefined ? async (): Promise<void> => undefined : keptIn(dir);

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
    await keep();
    return Response.json({ status: action }, { status: 202 });
  },
});
console.log(`${server.url.origin}/webhook`);

function keptIn(place: string): () => Promise<void> {
  const file = openSync(join(place, "lines"), "w");
  const line = Buffer.alloc(100, "-");
  const sync = promisify(fdatasync);
  let current: Promise<void> = Promise.resolve();
  let next: Promise<void> | null = null;
  const begin = (): Promise<void> => {
    next = null;
    current = sync(file);
    return current;
  };
  return () => {
    writeSync(file, line);
    next ??= current.then(begin);
    return next;
  };
}
