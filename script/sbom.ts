import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { billOfMaterials } from "./bill-of-materials.ts";

/** Prints the bill of materials of this checkout. */
async function main(): Promise<void> {
  const read = (name: string) =>
    readFile(fileURLToPath(new URL(`../${name}`, import.meta.url)), "utf8");
  process.stdout.write(billOfMaterials(await read("bun.lock"), await read("package.json")));
}

await main();
