import type { OutgoingWork } from "../ports/git.ts";
import { changeOf } from "./change.ts";
import type { Place } from "./place.ts";

const COMMITS_MAX = 500;
const TEXT_BYTES_MAX = 8 * 1024 * 1024;

/** What a push of `head` would bring to the forge; all shas are in the cache. @throws GitFailure */
export async function outgoing(
  place: Place,
  of: {
    readonly cache: string;
    readonly base: string;
    readonly branch: string | null;
    readonly head: string;
  },
): Promise<OutgoingWork> {
  const { cache, base, branch, head } = of;
  const log = async (args: readonly string[]) =>
    await place.git({
      args: [
        ...["log", "--no-color", "--encoding=UTF-8", ...args, "--end-of-options"],
        ...[head, `^${base}`, ...(branch === null ? [] : [`^${branch}`]), "--"],
      ],
      cwd: cache,
      outputBytes: TEXT_BYTES_MAX,
    });
  const messages = await log([`--max-count=${COMMITS_MAX}`, "--format=%B%x00"]);
  const patches = await log([
    ...["--patch", "--cc", "--text", "--unified=0", "--no-renames", "--no-ext-diff"],
    ...["--no-textconv", "--format=%an%n%ae%n%cn%n%ce%n%B"],
  ]);
  return {
    sha: head,
    messages: messages.stdout
      .split("\0")
      .map((message) => message.trim())
      .filter((message) => message !== ""),
    text: patches.stdout,
    change: await changeOf(place, cache, `${base}...${head}`),
  };
}
