import { expect, setDefaultTimeout, test } from "bun:test";
import { createHmac } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import type { GateReason } from "../../src/domain/gate.ts";
import { probeDisk } from "../../src/main/probe-disk.ts";
import {
  FIXTURE_SECRETS,
  fixtureWith,
  tempDirectory,
  writeFixture,
} from "../support/config-fixture.ts";
import { postgresWorld, until } from "../support/postgres-world.ts";
import { aDelivery, issueMark } from "../support/store-world.ts";

setDefaultTimeout(60_000);

const CLI = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
const TOKEN = "0123456789abcdef0123456789abcdef0123456789abcdef";
const DISK_BYTES = 80 * 1024 * 1024;
/** Fills and frees the disk on demand; the jail ends with it, and the service with the jail. */
const SHELL = `"$0" "$1" serve --config "$2" & while read -r word; do
  case "$word" in fill) head -c ${2 * DISK_BYTES} /dev/zero > "$3/fill" ;; free) rm "$3/fill" ;; esac
done`;

test("a full disk closes its gate on the first delivery it costs, and opens it when there is room again", async () => {
  await using directory = await tempDirectory();
  await directory.write("secrets/admin", TOKEN);
  const config = await writeFixture(
    directory,
    fixtureWith({
      "webhook.listen": "127.0.0.1:0",
      "admin.listen": "127.0.0.1:0",
      "admin.token": { file: "secrets/admin" },
      "sandbox.mode": "none",
    }),
  );
  const state = join(directory.path, "state");
  await mkdir(state);
  // A disk of its own that nothing outside of the jail can see: only it is ever filled.
  const disk = ["--perms", "0700", "--size", `${DISK_BYTES}`, "--tmpfs", state];
  const walls = ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", ...disk];
  const child = Bun.spawn(
    [
      ...["bwrap", ...walls, "--unshare-pid", "--die-with-parent"],
      ...["sh", "-c", SHELL, process.execPath, CLI, config, state],
    ],
    {
      cwd: directory.path,
      env: { PATH: process.env["PATH"] ?? "", HOME: directory.path },
      stdin: "pipe",
      stdout: "ignore",
      stderr: "pipe",
    },
  );
  const order = async (word: "fill" | "free"): Promise<void> => {
    child.stdin.write(`${word}\n`);
    await child.stdin.flush();
  };
  const lines: string[] = [];
  createInterface({ input: Readable.fromWeb(child.stderr as never) }).on("line", (text) => {
    lines.push(text);
  });
  try {
    const serving = await until(
      `serving: ${lines.join("\n")}`,
      () => lines.find((text) => text.includes('"serving"')),
      30_000,
    );
    const { webhook, admin } = JSON.parse(serving) as Record<"webhook" | "admin", string>;
    const closed = async (): Promise<readonly { name: string; reason: GateReason }[]> => {
      const headers = { authorization: `Bearer ${TOKEN}` };
      const answer = await fetch(`${admin}/api/v1/status`, { headers });
      return ((await answer.json()) as { gates: { name: string; reason: GateReason }[] }).gates;
    };
    const isFull = async (): Promise<boolean> =>
      (await closed()).some(({ name, reason }) => name === "disk" && reason === "full");
    expect((await deliver(webhook)).status).toBe(202);
    expect(await isFull()).toBe(false);

    await order("fill");
    await until("a delivery is sent away", async () => (await deliver(webhook)).status === 503);

    await until("the gate is closed", isFull);
    expect(lines.filter((text) => /"gate":"disk".*"gate closed"/u.test(text))).toHaveLength(1);

    await order("free");

    await until("the gate is open", async () => !(await isFull()), 30_000);
    expect((await deliver(webhook)).status).toBe(202);
  } finally {
    child.kill("SIGKILL");
    await child.exited;
  }
});

test("a PostgreSQL server without room is told of, and the probe of the disk knows it until it has some", async () => {
  await using directory = await tempDirectory();
  await using world = await postgresWorld();
  const store = await world.open("a");
  let told = 0;
  store.onFull(() => {
    told += 1;
  });
  const probe = async () => await probeDisk({ stateDir: directory.path, store });
  expect(await probe()).toEqual({ ok: true });
  expect(told).toBe(0);
  const body = "begin raise exception 'no space left' using errcode = 'disk_full'; end";
  const triggers = ["delivery", "meta"].map(
    (table) =>
      `create trigger full_disk before insert on ${table} for each row execute function full_disk()`,
  );
  await world.cluster.run(
    `create function full_disk() returns trigger language plpgsql as $$ ${body} $$; ${triggers.join(";")}`,
    world.database,
  );

  const failure = await store.deliveries
    .record(aDelivery("d1"), [issueMark(1)])
    .catch((error: unknown) => error);

  expect(failure).toMatchObject({ code: "53100" });
  expect(told).toBeGreaterThan(0);
  expect(await probe()).toEqual({ ok: false, reason: "full", until: null });

  await world.cluster.run("drop trigger full_disk on meta", world.database);
  expect(await probe()).toEqual({ ok: true });
});

async function deliver(webhook: string): Promise<Response> {
  const body = JSON.stringify({
    action: "opened",
    issue: { number: 1 },
    repository: { id: 1, full_name: "acme/widgets" },
    sender: { id: 1, login: "alice" },
    // Large enough to be no twin of another.
    nonce: crypto.randomUUID(),
  });
  const hmac = createHmac("sha256", FIXTURE_SECRETS["webhook"] ?? "").update(body);
  return await fetch(`${webhook}/webhook`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "x-forgejo-event": "issues",
      "x-forgejo-event-type": "issues",
      "x-forgejo-delivery": crypto.randomUUID(),
      "x-forgejo-signature": hmac.digest("hex"),
    },
    body,
  });
}
