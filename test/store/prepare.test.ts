import { afterAll, expect, test } from "bun:test";
import { Kysely, sql } from "kysely";
import { bunSqliteDialect } from "../../src/store/bun-sqlite-dialect.ts";
import { type Place, places, prepare } from "../../src/store/prepare.ts";

interface Words {
  word: { id: number; text: string | null; count: number };
}

const dialect = bunSqliteDialect(":memory:");
const db = new Kysely<Words>({ dialect });
afterAll(async () => await db.destroy());

test("values stand where their places were, however often one comes; what never changes is a part of the text", () => {
  const find = prepare(db, (place: Place<{ text: string; least: number }>) =>
    db
      .selectFrom("word")
      .select("id")
      .where("text", "=", place("text"))
      .where("count", ">=", place("least"))
      .where("id", "<>", 7)
      .where((eb) => eb.or([eb("count", "=", 0), eb("count", "<", place("least"))]))
      .limit(5),
  );
  const { sql: text, parameters } = find({ text: "a", least: 3 });
  expect(text).toBe(
    `select "id" from "word" where "text" = ? and "count" >= ? and "id" <> 7 and ("count" = 0 or "count" < ?) limit 5`,
  );
  expect(parameters).toEqual(["a", 3, 3]);
  expect(find({ text: "b", least: 4 }).parameters).toEqual(["b", 4, 4]);
});

test("a query is built once, and not before its first use", () => {
  let built = 0;
  const find = prepare(db, (place: Place<{ id: number }>) => {
    built += 1;
    return db.selectFrom("word").selectAll().where("id", "=", place("id"));
  });
  expect(built).toBe(0);
  find({ id: 1 });
  find({ id: 2 });
  expect(built).toBe(1);
});

test("a constant text is written as SQL has it, whatever stands in it", () => {
  const find = prepare(db, (place: Place<{ id: number }>) =>
    db
      .selectFrom("word")
      .select("id")
      .where("text", "=", 'it\'s ? $1 "so"')
      .where("id", "=", place("id")),
  );
  const { sql: text, parameters } = find({ id: 3 });
  expect(text).toContain(`"text" = 'it''s ? $1 "so"'`);
  expect(parameters).toEqual([3]);
});

test("several places at once are columns with the values of their names", () => {
  const write = prepare(db, (place: Place<{ id: number; text: string; count: number }>) =>
    db
      .updateTable("word")
      .set(places(place, ["text", "count"]))
      .where((eb) => eb.and(places(place, ["id"]))),
  );
  const { sql: text, parameters } = write({ id: 1, text: "a", count: 2 });
  expect(text).toBe(`update "word" set "text" = ?, "count" = ? where "id" = ?`);
  expect(parameters).toEqual(["a", 2, 1]);
});

test("places count in what is written, in set clauses and in text of SQL", () => {
  const write = prepare(db, (place: Place<{ id: number; text: string | null }>) =>
    db
      .insertInto("word")
      .values({ id: place("id"), text: place("text"), count: 1 })
      .onConflict((conflict) => conflict.column("id").doUpdateSet({ text: place("text") })),
  );
  expect(write({ id: 1, text: null }).parameters).toEqual([1, null, 1, null]);
  const sum = prepare(db, (place: Place<{ or: number }>) =>
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
  const insert = prepare(db, (place: Place<{ id: number; text: string | null }>) =>
    db.insertInto("word").values({ id: place("id"), text: place("text"), count: 1 }),
  );
  await transactCompiled(async (execute) => {
    await execute(insert({ id: 1, text: "one" }));
    await execute(insert({ id: 2, text: null }));
  });
  const rename = prepare(db, (place: Place<{ id: number; text: string }>) =>
    db
      .updateTable("word")
      .set({ text: place("text") })
      .where("id", "=", place("id"))
      .returning("text"),
  );
  expect(await write(rename({ id: 1, text: "uno" }))).toEqual([{ text: "uno" }]);
  const all = prepare(db, () => db.selectFrom("word").select(["id", "text"]).orderBy("id"));
  expect(await read(all({}))).toEqual([
    { id: 1, text: "uno" },
    { id: 2, text: null },
  ]);
});
