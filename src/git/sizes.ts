import { relative } from "node:path";
import { execa } from "execa";
import { GitFailure, type Sizes } from "../ports/git.ts";

const TIMEOUT_MS = 5 * 60_000;
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;
/** `work/<owner>/<name>/<number>/<agent>`: names below are an agent's, and are never printed. */
const DEPTH = 5;
const CLONE = /^work\/([^/.][^/]*\/[^/]+)\/([1-9]\d*)\/([^/]+)$/u;
const SPARE = /^work\/\.spare\/([^/.][^/]*\/[^/]+)$/u;
const REPOSITORY =
  /^(?:work\/(?:\.spare\/)?([^/.][^/]*\/[^/]+)|claude\/([^/]+\/[^/]+)|cache\/([^/.][^/]*\/.+)\.git)$/u;

/**
 * What the state directory takes on the disk, as `du` counts it (blocks, a file with several names
 * once): in all, by repository (clones, spare, cache and conversations), by clone and by spare, in bytes.
 * @throws GitFailure `unavailable` when it cannot be counted
 */
export async function sizes(stateDir: string, searchPath: string): Promise<Sizes> {
  const counted = await execa("du", ["-k", "-0", `-d${DEPTH}`, "--", stateDir], {
    env: { PATH: searchPath, LC_ALL: "C" },
    extendEnv: false,
    reject: false,
    stdin: "ignore",
    stderr: "ignore",
    timeout: TIMEOUT_MS,
    maxBuffer: OUTPUT_BYTES_MAX,
  });
  // 1: a file went away meanwhile or a directory is closed; what could be counted is there.
  if (counted.exitCode !== 0 && counted.exitCode !== 1) {
    throw new GitFailure("unavailable", `du could not count ${stateDir}`);
  }
  return parsed(counted.stdout, stateDir);
}

function parsed(text: string, stateDir: string): Sizes {
  let total = 0;
  const repositories = new Map<string, number>();
  const clones: Sizes["clones"][number][] = [];
  const spares: Sizes["spares"][number][] = [];
  for (const line of text.split("\0")) {
    const [, kilobytes, path] = /^(\d+)\t(.*)$/su.exec(line) ?? [];
    if (kilobytes === undefined || path === undefined) continue;
    const bytes = Number(kilobytes) * 1024;
    const name = relative(stateDir, path);
    if (name === "") total = bytes;
    const [, worked, talked, cached] = REPOSITORY.exec(name) ?? [];
    const of = worked ?? talked ?? cached;
    if (of !== undefined) repositories.set(of, (repositories.get(of) ?? 0) + bytes);
    const [, spared] = SPARE.exec(name) ?? [];
    if (spared !== undefined) spares.push({ repo: spared, bytes });
    const [, repo, number, agent] = CLONE.exec(name) ?? [];
    if (repo !== undefined && agent !== undefined) {
      clones.push({ item: { repo, number: Number(number) }, agent, bytes });
    }
  }
  return { total, repositories, clones, spares };
}
