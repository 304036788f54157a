import { expect, test } from "bun:test";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openStore } from "../../src/store/open-store.ts";
import { bytesOf, deliveryHeaders, issuePayload } from "../support/intake-world.ts";

const BURST = 4000;
const AT_ONCE = 200;
const BODY_BYTES = 10_000;
/** A store that takes this long for each, of which so many may wait. */
const STORE_MS = 150;
const QUEUE = 100;
/** What 200 open connections and 100 waiting records may cost; the bodies alone are 40 MB. */
const GROWTH_KB_MAX = 80_000;

test("a burst above capacity is refused honestly: nothing acknowledged is lost, nothing refused is kept, memory stays", async () => {
  const dir = await mkdtemp(join(tmpdir(), "ch-burst-"));
  const path = join(dir, "claude-hooks.db");
  const script = join(import.meta.dir, "slow-store-in-child.ts");
  const child = Bun.spawn([process.execPath, script, path, `${STORE_MS}`, `${QUEUE}`], {
    stdout: "pipe",
    stderr: "inherit",
  });
  try {
    const { value } = await child.stdout.getReader().read();
    const url = new TextDecoder().decode(value).trim();
    await Promise.all(
      Array.from({ length: AT_ONCE }, async () => await send(url, crypto.randomUUID())),
    );
    const before = await residentKb(child.pid);

    const answers = new Map<string, number>();
    const retryAfter = new Set<string | null>();
    let next = 0;
    const sender = async (): Promise<void> => {
      while (next < BURST) {
        const id = crypto.randomUUID();
        next += 1;
        const answer = await send(url, id);
        answers.set(id, answer.status);
        if (answer.status === 503) retryAfter.add(answer.headers.get("retry-after"));
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, sender));
    const grown = (await residentKb(child.pid)) - before;
    // Killed at once: what was acknowledged must not need a proper end.
    child.kill("SIGKILL");
    await child.exited;

    const of = (status: number) =>
      [...answers].filter(([, given]) => given === status).map(([id]) => id);
    expect(new Set(answers.values())).toEqual(new Set([202, 503]));
    expect(retryAfter).toEqual(new Set(["10"]));
    const kept = await recorded(path);
    expect(of(202).filter((id) => !kept.has(id))).toEqual([]);
    expect(of(503).filter((id) => kept.has(id))).toEqual([]);
    expect(of(202).length).toBeGreaterThanOrEqual(QUEUE);
    expect(of(503).length).toBeGreaterThan(BURST / 2);
    expect(grown).toBeLessThan(GROWTH_KB_MAX);
  } finally {
    child.kill("SIGKILL");
    await child.exited;
    await rm(dir, { recursive: true, force: true });
  }
}, 60_000);

async function send(url: string, id: string): Promise<Response> {
  const body = bytesOf(issuePayload({ id, text: "x".repeat(BODY_BYTES) }));
  const response = await fetch(`${url}/webhook`, {
    method: "POST",
    headers: deliveryHeaders({ id }, body),
    body,
  });
  await response.arrayBuffer();
  return response;
}

async function recorded(path: string): Promise<ReadonlySet<string>> {
  const store = await openStore({ path, now: Date.now });
  const ids = new Set<string>();
  let before: string | null = null;
  do {
    const page = await store.deliveries.list(500, before);
    for (const { id } of page.rows) ids.add(id);
    before = page.next;
  } while (before !== null);
  await store.close();
  return ids;
}

async function residentKb(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+)/mu.exec(status)?.[1]);
}
