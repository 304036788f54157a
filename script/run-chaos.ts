import { parseArgs } from "node:util";
import { playChaos } from "../test/chaos/chaos.ts";
import { isWeakness } from "../test/chaos/weaken.ts";
import { startPostgresCluster } from "../test/support/postgres-cluster.ts";

/** For three kills, one of each kind, on a machine that is busy with other things. */
const KILL_MS_MAX = 20_000;

/** `script/chaos [--kills 200] [--real 2] [--seed n] [--postgres | --sandbox none] [--weakness name]`. */
async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      kills: { type: "string", default: "200" },
      real: { type: "string", default: "2" },
      seed: { type: "string", default: `${Date.now() % 1_000_000}` },
      issues: { type: "string" },
      sandbox: { type: "string", default: "bwrap" },
      postgres: { type: "boolean", default: false },
      deaf: { type: "boolean", default: false },
      weakness: { type: "string", default: "" },
    },
  });
  const kills = Number(values.kills);
  const cluster = values.postgres ? await startPostgresCluster() : null;
  const where = cluster === null ? "one service on SQLite" : "two services on PostgreSQL";
  console.log(`${where}, seed ${values.seed}, ${kills} kills of each kind`);
  const { counters, unfinished, faults, figures } = await playChaos({
    seed: Number(values.seed),
    kills,
    realKills: Number(values.real),
    issues: Number(values.issues ?? Math.max(6, kills / 3)),
    playMs: (kills + 60) * KILL_MS_MAX,
    sandbox: values.sandbox === "none" ? "none" : "bwrap",
    deaf: values.deaf,
    ...(cluster === null ? {} : { database: await cluster.createDatabase() }),
    ...(isWeakness(values.weakness) ? { weakness: values.weakness } : {}),
    onNote: (note) => console.log(note),
  });
  await cluster?.stop();
  for (const [name, value] of Object.entries(figures)) console.log(`${name.padEnd(28)}${value}`);
  console.log("-- must be 0");
  for (const [name, value] of Object.entries(counters)) console.log(`${name.padEnd(28)}${value}`);
  console.log(`${"unfinished".padEnd(28)}${unfinished.length}`);
  for (const line of [...unfinished, ...faults]) console.log(`  ${line}`);
  const isClean = Object.values(counters).every((value) => value === 0) && unfinished.length === 0;
  return isClean ? 0 : 1;
}

process.exit(await main());
