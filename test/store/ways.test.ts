import { expect, test } from "bun:test";
import { Kysely } from "kysely";
import { bunSqliteDialect } from "../../src/store/bun-sqlite-dialect.ts";
import { type Place, prepare } from "../../src/store/prepare.ts";
import type { Execute } from "../../src/store/transact.ts";

interface Words {
  word: { id: number };
}

test("what a transaction has written is read by nobody else before its commit, and never after a rollback", async () => {
  await using world = await openWords();
  const { ways, insert, ids } = world;
  const gate = Promise.withResolvers<void>();
  const written = Promise.withResolvers<void>();
  const broken = ways.transactCompiled(async (execute) => {
    await execute(insert({ id: 1 }));
    written.resolve();
    await gate.promise;
    throw new Error("taken back");
  });
  await written.promise;
  const read = ways.read(ids({}));
  const reading = ways.transactReading(async (execute) => await execute(ids({})));
  gate.resolve();
  await expect(broken).rejects.toThrow("taken back");
  expect(await read).toEqual([]);
  expect(await reading).toEqual([]);
});

test("a statement by itself waits for a transaction that is under way, and is no part of it", async () => {
  await using world = await openWords();
  const { ways, insert, ids } = world;
  const gate = Promise.withResolvers<void>();
  const broken = ways.transactQueue(async (execute) => {
    await execute(insert({ id: 1 }));
    await gate.promise;
    throw new Error("taken back");
  });
  const written = ways.write(insert({ id: 2 }));
  gate.resolve();
  await expect(broken).rejects.toThrow("taken back");
  await written;
  expect(await ways.read(ids({}))).toEqual([{ id: 2 }]);
});

test("Kysely's own transactions and these take turns", async () => {
  await using world = await openWords();
  const { db, ways, insert, ids } = world;
  const seen: string[] = [];
  const one = async (name: string): Promise<void> => {
    seen.push(name);
    await new Promise((resolve) => setImmediate(resolve));
    seen.push(name);
  };
  await Promise.all([
    db.transaction().execute(() => one("kysely")),
    ways.transactCompiled(() => one("compiled")),
    ways.transact(() => one("both")),
    ways.transactQueue(() => one("queue")),
  ]);
  expect(seen).toHaveLength(8);
  for (let at = 0; at < seen.length; at += 2) expect(seen[at + 1]).toBe(seen[at]);
  await ways.write(insert({ id: 3 }));
  expect(await ways.read(ids({}))).toEqual([{ id: 3 }]);
});

test("a statement that comes after the end of its transaction is refused, not carried out in another", async () => {
  await using world = await openWords();
  const { ways, insert, ids } = world;
  let kept: Execute | null = null;
  await ways.transactQueue(async (execute) => {
    kept = execute;
  });
  const late = kept as Execute | null;
  await expect(late?.(insert({ id: 1 }))).rejects.toThrow("after the end");
  expect(await ways.read(ids({}))).toEqual([]);
});

test("others hear of a commit with what it resolves with, and of none that was taken back", async () => {
  await using world = await openWords();
  const heard: number[] = [];
  const note = (value: number) => heard.push(value);
  expect(await world.ways.transactCompiled(async () => 7, note)).toBe(7);
  const failing = world.ways.transactCompiled<number>(async () => {
    throw new Error("taken back");
  }, note);
  await expect(failing).rejects.toThrow("taken back");
  expect(heard).toEqual([7]);
});

test("closing waits for a transaction that is under way, and for those that wait behind it; who asks later is refused", async () => {
  const { db, ways, insert } = await openWords();
  const gate = Promise.withResolvers<void>();
  const first = ways.transactCompiled(async (execute) => {
    await execute(insert({ id: 1 }));
    await gate.promise;
    return await execute(insert({ id: 2 }));
  });
  const behind = ways.write(insert({ id: 3 }));
  const kysely = db.insertInto("word").values({ id: 4 }).execute();
  const closed = db.destroy();
  await new Promise((resolve) => setImmediate(resolve));
  gate.resolve();
  await Promise.all([first, behind, kysely, closed]);
  await expect(ways.write(insert({ id: 5 }))).rejects.toThrow("after destroy");
  await expect(ways.transactQueue(async () => 1)).rejects.toThrow("after destroy");
});

test("a listener of a commit that throws takes nothing back and leaves no promise behind", async () => {
  await using world = await openWords();
  const { ways, insert, ids } = world;
  const written = ways.transactCompiled(
    async (execute) => await execute(insert({ id: 1 })),
    () => {
      throw new Error("did not want to hear");
    },
  );
  await expect(written).rejects.toThrow("did not want to hear");
  expect(await ways.read(ids({}))).toEqual([{ id: 1 }]);
});

async function openWords() {
  const dialect = bunSqliteDialect(":memory:");
  const db = new Kysely<Words>({ dialect });
  await db.schema.createTable("word").addColumn("id", "integer").execute();
  return {
    db,
    ways: dialect.ways(db),
    insert: prepare(db, (place: Place<{ id: number }>) =>
      db.insertInto("word").values({ id: place("id") }),
    ),
    ids: prepare(db, () => db.selectFrom("word").select("id").orderBy("id")),
    async [Symbol.asyncDispose]() {
      await db.destroy();
    },
  };
}
