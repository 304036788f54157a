import type { Change } from "../domain/change.ts";
import type { Place } from "./place.ts";
import { resolve } from "./refs.ts";

const LISTED_BYTES_MAX = 4 * 1024 * 1024;
const PATHS_MAX = 10_000;
/** Of a symbolic link and of a submodule, as git writes them (gitglossary, "tree object"). */
const SUBMODULE_MODE = "160000";
const LINK_MODES = ["120000", SUBMODULE_MODE];

/** What base...head changes; branches of the remote or shas. @throws GitFailure */
export async function changeBetween(
  place: Place,
  of: { readonly repo: string; readonly base: string; readonly head: string },
): Promise<Change> {
  const base = await resolve(place, of.repo, of.base);
  const head = await resolve(place, of.repo, of.head);
  return await changeOf(place, place.cache.path(of.repo), `${base}...${head}`);
}

/** The same for a range of commits that are all in the cache. @throws GitFailure */
export async function changeOf(place: Place, cache: string, range: string): Promise<Change> {
  const diff = async (how: string) =>
    await place.git({
      args: [
        ...["diff", how, "-z", "--no-abbrev", "--no-renames", "--no-ext-diff", "--no-textconv"],
        // Our calls leave submodules alone (run-git.ts); here a link to other code counts.
        "--ignore-submodules=none",
        ...[range, "--"],
      ],
      cwd: cache,
      outputBytes: LISTED_BYTES_MAX,
    });
  const raw = await diff("--raw");
  const stat = await diff("--numstat");
  const rows = rawRows(raw.stdout);
  const listed = rows.slice(0, PATHS_MAX);
  const complete = !raw.truncated && !stat.truncated && listed.length === rows.length;
  const lines = stat.stdout.split("\0").reduce((sum, row) => sum + linesOf(row), 0);
  return {
    paths: listed.map(({ path }) => path),
    lines,
    bytes: await bytesOf(place, cache, listed),
    links: listed.flatMap(({ path, mode }) => (LINK_MODES.includes(mode) ? [path] : [])),
    complete,
  };
}

interface RawRow {
  readonly mode: string;
  readonly blob: string;
  readonly path: string;
}

/** `:<mode> <mode> <sha> <sha> <status>\0<path>\0` for each file (git-diff, "raw output format"); a cut row is left out. */
function rawRows(text: string): readonly RawRow[] {
  const fields = text.split("\0");
  const rows: RawRow[] = [];
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const match = /^:\d+ (\d+) \S+ (\S+) \w/u.exec(fields[at] ?? "");
    const path = fields[at + 1] ?? "";
    if (match?.[1] !== undefined && match[2] !== undefined && path !== "") {
      rows.push({ mode: match[1], blob: match[2], path });
    }
  }
  return rows;
}

/** `<added>\t<removed>\t<path>`; `-` for a binary file. */
function linesOf(row: string): number {
  const [, added = "0", removed = "0"] = /^(\d+)\t(\d+)\t/u.exec(row) ?? [];
  return Number(added) + Number(removed);
}

async function bytesOf(place: Place, cache: string, rows: readonly RawRow[]): Promise<number> {
  const blobs = rows.filter(({ mode }) => mode !== SUBMODULE_MODE);
  if (blobs.length === 0) return 0;
  const checked = await place.git({
    args: ["cat-file", "--batch-check=%(objectsize)", "--buffer"],
    cwd: cache,
    input: blobs.map(({ blob }) => `${blob}\n`).join(""),
    outputBytes: LISTED_BYTES_MAX,
  });
  // What is gone is `<sha> missing`.
  return checked.stdout
    .split("\n")
    .reduce((sum, line) => sum + (/^\d+$/u.test(line) ? Number(line) : 0), 0);
}
