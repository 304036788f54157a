import { createHmac, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";

/** Every receiver checks this secret; a service under load has its own. */
export const SECRET = process.env["BENCH_SECRET"] ?? "bench-secret-of-some-length";

/** A delivery of `issues`, filled up to this size, as large ones are. */
const BODY_BYTES = 10_240;
const ITEMS = 50;

/**
 * Makes whole HTTP requests, each another delivery: its own id and its own body (a body that comes
 * twice within minutes is a twin, not a delivery), signed for the receivers of Forgejo and of GitHub.
 */
export function createRequests(host: string, path: string): () => Buffer {
  const file = new URL("../../test/fixtures/forgejo/issues-opened.json", import.meta.url);
  const issue = JSON.parse(readFileSync(file, "utf8"));
  let sent = 0;
  return () => {
    sent += 1;
    const id = randomUUID();
    issue.issue.number = 1 + (sent % ITEMS);
    issue.number = issue.issue.number;
    issue.issue.title = id;
    issue.issue.body = "";
    const short = JSON.stringify(issue);
    issue.issue.body = "x".repeat(Math.max(0, BODY_BYTES - Buffer.byteLength(short)));
    const body = Buffer.from(JSON.stringify(issue));
    const signature = createHmac("sha256", SECRET).update(body).digest("hex");
    const head = [
      `POST ${path} HTTP/1.1`,
      `Host: ${host}`,
      "Content-Type: application/json",
      `Content-Length: ${body.length}`,
      "X-Forgejo-Event-Type: issues",
      `X-Forgejo-Delivery: ${id}`,
      `X-Forgejo-Signature: ${signature}`,
      "X-GitHub-Event: issues",
      `X-GitHub-Delivery: ${id}`,
      `X-Hub-Signature-256: sha256=${signature}`,
    ];
    return Buffer.concat([Buffer.from(`${head.join("\r\n")}\r\n\r\n`), body]);
  };
}
