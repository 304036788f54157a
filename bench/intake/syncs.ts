import { closeSync, fdatasyncSync, openSync, writeSync } from "node:fs";
import { median } from "../median.ts";

const SYNCS = 400;

/** Milliseconds of an append with fdatasync: one directly after the other, and `paced` at a rate. */
export interface Syncs {
  readonly tight: number;
  readonly paced: { readonly p50: number; readonly p99: number };
}

/**
 * Appends to a new file `path`. `paced`, `rate` a second, is what the open loop meets: a disk that rests
 * between two syncs takes twice as long for each (measured).
 */
export async function syncsOf(path: string, rate: number): Promise<Syncs> {
  const file = openSync(path, "w");
  const block = Buffer.alloc(4096);
  const once = (): number => {
    const start = performance.now();
    writeSync(file, block);
    fdatasyncSync(file);
    return performance.now() - start;
  };
  const tight = Array.from({ length: SYNCS }, once);
  const paced: number[] = [];
  const start = performance.now();
  while (paced.length < SYNCS) {
    await Bun.sleep(Math.max(0, start + (paced.length * 1000) / rate - performance.now()));
    paced.push(once());
  }
  closeSync(file);
  paced.sort((a, b) => a - b);
  const at = (part: number): number => paced[Math.floor(SYNCS * part)] ?? Number.NaN;
  return { tight: median(tight), paced: { p50: at(0.5), p99: at(0.99) } };
}
