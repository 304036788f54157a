import { expect, test } from "bun:test";
import { fileURLToPath } from "node:url";
import { loadConfig } from "../../src/config/load-config.ts";
import { openIntake } from "../../src/main/open-intake.ts";
import {
  FIXTURE_SECRETS,
  fixtureWith,
  tempDirectory,
  writeFixture,
} from "../support/config-fixture.ts";
import { openStoreWorld } from "../support/store-world.ts";

const CLI = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
const END_MS = 10_000;

test.each(["webhook.listen", "admin.listen"])(
  "a service whose %s is taken says so and ends: it does not stay behind without listening",
  async (key) => {
    await using directory = await tempDirectory();
    await using taken = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response() });
    const free = { "webhook.listen": "127.0.0.1:0", "admin.listen": "127.0.0.1:0" };
    const changes = { ...free, [key]: `127.0.0.1:${taken.port}` };
    const config = await writeFixture(directory, fixtureWith(changes));
    const child = Bun.spawn([process.execPath, CLI, "serve", "--config", config], {
      cwd: directory.path,
      env: { PATH: process.env["PATH"] ?? "", HOME: directory.path },
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
      timeout: END_MS,
      killSignal: "SIGKILL",
    });
    const [errors, code] = await Promise.all([new Response(child.stderr).text(), child.exited]);

    expect(errors).toContain("Name free addresses of this host");
    expect(code).toBe(2);
  },
  END_MS + 5000,
);

test("while nothing can be recorded the service is not ready, and again as soon as something can", async () => {
  await using directory = await tempDirectory();
  await using world = await openStoreWorld();
  const { store } = world;
  const free = { "webhook.listen": "127.0.0.1:0", "admin.listen": "127.0.0.1:0" };
  await writeFixture(directory, fixtureWith(free));
  const place = {
    cwd: directory.path,
    home: directory.path,
    explicitPath: null,
    env: {},
    uid: process.getuid?.() ?? null,
  };
  const loaded = await loadConfig(place);
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  let isFull = true;
  const unlessFull = async <T>(write: () => Promise<T>): Promise<T> => {
    if (isFull) throw new Error("database or disk is full");
    return await write();
  };
  const ignore = (): void => undefined;
  const intake = openIntake({
    config: loaded.config,
    store: {
      ...store,
      deliveries: {
        ...store.deliveries,
        record: async (...row) => await unlessFull(() => store.deliveries.record(...row)),
      },
      meta: {
        ...store.meta,
        set: async (...row) => await unlessFull(() => store.meta.set(...row)),
      },
    },
    now: () => world.clock.now,
    metrics: { delivery: ignore },
    audit: { append: ignore },
    log: { debug: ignore, info: ignore, warn: ignore, error: ignore },
  });
  try {
    expect(intake.isReady()).toBe(true);
    expect((await deliver(intake.listener.url)).status).toBe(503);
    expect(intake.isReady()).toBe(false);

    isFull = false;

    const end = performance.now() + END_MS;
    while (!intake.isReady() && performance.now() < end) await Bun.sleep(10);
    expect(intake.isReady()).toBe(true);
    expect((await deliver(intake.listener.url)).status).toBe(202);
  } finally {
    await intake.stop();
  }
});

async function deliver(url: string): Promise<Response> {
  const body = JSON.stringify({
    action: "opened",
    issue: { number: 1 },
    repository: { id: 1, full_name: "acme/widgets" },
    sender: { id: 1, login: "alice" },
  });
  const hmac = new Bun.CryptoHasher("sha256", FIXTURE_SECRETS["webhook"] ?? "").update(body);
  return await fetch(`${url}/webhook`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "x-forgejo-event": "issues",
      "x-forgejo-event-type": "issues",
      "x-forgejo-delivery": "aaaaaaaa-0000-4000-8000-000000000001",
      "x-forgejo-signature": hmac.digest("hex"),
    },
    body,
  });
}
