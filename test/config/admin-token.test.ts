import { expect, test } from "bun:test";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { createAdminToken } from "../../src/config/admin-token.ts";
import { tempDirectory } from "../support/config-fixture.ts";

const SEVENS = (count: number) => new Uint8Array(count).fill(0x77);

test("the admin token is 32 random bytes in hex in a file for its owner only", async () => {
  await using directory = await tempDirectory();
  const file = join(directory.path, "secrets/admin");

  const token = await createAdminToken(file, SEVENS);

  expect(token.reveal()).toBe("77".repeat(32));
  expect(await readFile(file, "utf8")).toBe(`${"77".repeat(32)}\n`);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect((await stat(join(directory.path, "secrets"))).mode & 0o777).toBe(0o700);
});

test("a token that is there is never written over", async () => {
  await using directory = await tempDirectory();
  const file = await directory.write("admin", "mine\n");

  const token = await createAdminToken(file, SEVENS);

  expect(token.reveal()).toBe("mine");
  expect(await readFile(file, "utf8")).toBe("mine\n");
});

test("an empty token file stops the start instead of opening the door", async () => {
  await using directory = await tempDirectory();
  const file = await directory.write("admin", "\n");

  const creating = createAdminToken(file, SEVENS);

  await expect(creating).rejects.toThrow("admin.token is the file");
});
