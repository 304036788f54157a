import { afterAll, expect, test } from "bun:test";
import { Kysely, sql } from "kysely";
import { bunSqliteDialect } from "../../src/store/bun-sqlite-dialect.ts";
import { type Place, prepare } from "../../src/store/prepare.ts";

interface Words {
  word: { id: number; text: string | null; count: number };
}

const dialect = bunSqliteDialect(":memory:");
const db = new Kysely<Words>({ dialect });
afterAll(async () => await db.destroy());

test("values stand where their places were, however often one comes, beside those that never change", () => {
  const find = prepare((place: Place<{ text: string; least: number }>) =>
    db
      .selectFrom("word")
      .select("id")
      .where("text", "=", place("text"))
      .where("count", ">=", place("least"))
      .where("id", "<>", 7)
      .where((eb) => eb.or([eb("count", "=", 0), eb("count", "<", place("least"))])),
  );
  const { sql: text, parameters } = find({ text: "a", least: 3 });
  expect(text).toBe(
    `select "id" from "word" where "text" = ? and "count" >= ? and "id" <> ? and ("count" = ? or "count" < ?)`,
  );
  expect(parameters).toEqual(["a", 3, 7, 0, 3]);
  expect(find({ text: "b", least: 4 }).parameters).toEqual(["b", 4, 7, 0, 4]);
});

test("a query is built once, and not before its first use", () => {
  let built = 0;
  const find = prepare((place: Place<{ id: number }>) => {
    built += 1;
    return db.selectFrom("word").selectAll().where("id", "=", place("id"));
  });
  expect(built).toBe(0);
  find({ id: 1 });
  find({ id: 2 });
  expect(built).toBe(1);
});

test("places count in what is written, in set clauses and in text of SQL", () => {
  const write = prepare((place: Place<{ id: number; text: string | null }>) =>
    db
      .insertInto("word")
      .values({ id: place("id"), text: place("text"), count: 1 })
      .onConflict((conflict) => conflict.column("id").doUpdateSet({ text: place("text") })),
  );
  expect(write({ id: 1, text: null }).parameters).toEqual([1, null, 1, null]);
  const sum = prepare((place: Place<{ or: number }>) =>
    db.selectFrom("word").select(sql<number>`coalesce(max(count), ${place("or")})`.as("most")),
  );
  expect(sum({ or: 5 }).parameters).toEqual([5]);
});

test("what is prepared is carried out: a null is written as one, and read back", async () => {
  await db.schema
    .createTable("word")
    .addColumn("id", "integer", (column) => column.primaryKey())
    .addColumn("text", "text")
    .addColumn("count", "integer")
    .execute();
  const { transactCompiled, read, write } = dialect.ways(db);
  const insert = prepare((place: Place<{ id: number; text: string | null }>) =>
    db.insertInto("word").values({ id: place("id"), text: place("text"), count: 1 }),
  );
  await transactCompiled(async (execute) => {
    await execute(insert({ id: 1, text: "one" }));
    await execute(insert({ id: 2, text: null }));
  });
  const rename = prepare((place: Place<{ id: number; text: string }>) =>
    db
      .updateTable("word")
      .set({ text: place("text") })
      .where("id", "=", place("id"))
      .returning("text"),
  );
  expect(await write(rename({ id: 1, text: "uno" }))).toEqual([{ text: "uno" }]);
  const all = prepare(() => db.selectFrom("word").select(["id", "text"]).orderBy("id"));
  expect(await read(all({}))).toEqual([
    { id: 1, text: "uno" },
    { id: 2, text: null },
  ]);
});
