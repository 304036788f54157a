import type { Dirent, Stats } from "node:fs";
import { lstat, readdir, rmdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { ItemRef } from "../domain/snapshot.ts";
import { createScratch } from "../git/trash.ts";
import type { Log } from "../ports/observe.ts";
import type { SessionHomes, SessionOwner } from "../sessions/retention.ts";

/** The CLI makes one directory of transcripts for each working directory, and a session has one. */
const PROJECTS_MAX = 100;
const FILES_MAX = 1000;
/** It is in use, or somebody was quicker. */
const EXPECTED: readonly string[] = ["ENOTEMPTY", "EEXIST", "ENOENT"];

/** The directories `claude/<owner>/<name>/<number>/<agent>` of a state directory. */
export interface PlacedHomes extends SessionHomes {
  path(item: ItemRef, agent: string): string;
}

/** What agents write lies below: no link is followed, and nothing is touched before the first call. */
export function createSessionHomes(stateDir: string, log: Log): PlacedHomes {
  const root = join(stateDir, "claude");
  const scratch = createScratch(root, log);
  const pathOf = ({ repo, number, agent }: SessionOwner): string =>
    join(root, repo, `${number}`, agent);
  return {
    path: (item, agent) => pathOf({ ...item, agent }),
    async *list() {
      for (const owner of await directoriesIn(root)) {
        if (owner.startsWith(".")) continue;
        for (const name of await directoriesIn(join(root, owner))) {
          for (const number of await directoriesIn(join(root, owner, name))) {
            if (!/^[1-9][0-9]{0,14}$/.test(number)) continue;
            for (const agent of await directoriesIn(join(root, owner, name, number))) {
              yield { repo: `${owner}/${name}`, number: Number(number), agent };
            }
          }
        }
      }
    },
    async usedAt(of) {
      const home = pathOf(of);
      const projects = join(home, "projects");
      const paths = [home, projects];
      for (const project of (await directoriesIn(projects)).slice(0, PROJECTS_MAX)) {
        const files = (await entriesIn(join(projects, project))).slice(0, FILES_MAX);
        paths.push(...files.map(({ name }) => join(projects, project, name)));
      }
      let newest: number | null = null;
      for (const path of paths) {
        newest = Math.max(newest ?? 0, (await look(path))?.mtimeMs ?? 0) || null;
      }
      return newest;
    },
    async discard(of) {
      const home = pathOf(of);
      const isGone = await scratch.discard(home);
      await removeEmpty(dirname(home), log);
      return isGone;
    },
  };
}

/** Another agent of the item may have its own below it. */
async function removeEmpty(path: string, log: Log): Promise<void> {
  try {
    await rmdir(path);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    if (EXPECTED.includes(code)) return;
    log.warn("an empty directory stays", { path, reason: String(error) });
  }
}

async function directoriesIn(path: string): Promise<readonly string[]> {
  return (await entriesIn(path)).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));
}

/** Nothing of what is gone, is no directory, or may not be looked at. */
async function entriesIn(path: string): Promise<readonly Dirent[]> {
  if ((await look(path))?.isDirectory() !== true) return [];
  return await readdir(path, { withFileTypes: true }).catch(() => []);
}

/** An agent can close its directories: what cannot be looked at says nothing. */
async function look(path: string): Promise<Stats | null> {
  return await lstat(path).catch(() => null);
}
