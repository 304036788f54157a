import { REPO } from "../../demo/scenario/widgets.ts";
import type { Evidence } from "./count.ts";
import type { Issue } from "./people.ts";
import type { ChaosWorld } from "./world.ts";

interface Pull {
  readonly number: number;
  readonly body: string;
  readonly merged: boolean;
  readonly user: { readonly login: string };
  readonly head: { readonly ref: string };
}
interface Text {
  readonly body: string;
  readonly user: { readonly login: string };
}

/** Everything the counters are counted from, read now. */
export async function evidenceOf(world: ChaosWorld, issues: readonly Issue[]): Promise<Evidence> {
  const { load, recorder, overlaps } = world;
  const pulls = await pullsOf(world);
  const texts: Text[] = [...pulls];
  for (const { number } of pulls) {
    texts.push(...(await all<Text>(world, `/repos/${REPO}/pulls/${number}/reviews`)));
  }
  for (const { number } of [...pulls, ...issues]) {
    texts.push(...(await all<Text>(world, `/repos/${REPO}/issues/${number}/comments`)));
  }
  return {
    ...(await world.stored()),
    answers: load.answers,
    lives: recorder.lives,
    overlaps: [...recorder.overlaps, ...overlaps],
    pulls: pulls.map(({ body }) => ({ item: itemOf(body) })),
    texts: texts.map(({ body, user }) => ({ author: user.login, body })),
  };
}

/** Every open issue that no agent declined must be done: nobody else will bring it to its end. */
export async function unfinishedOf(
  world: ChaosWorld,
  issues: readonly Issue[],
): Promise<readonly string[]> {
  const pulls = await pullsOf(world);
  const { items } = await world.stored();
  return issues.flatMap(({ number, closed }) => {
    const merged = pulls.some((pull) => itemOf(pull.body) === number && pull.merged);
    const state = items.find((item) => item.number === number);
    if (closed || merged || state?.reason.includes("declined") === true) return [];
    return [
      `#${number}: ${state?.state ?? "unknown"}, ${state?.decision ?? ""}, ${state?.reason ?? ""}`,
    ];
  });
}

async function pullsOf(world: ChaosWorld): Promise<readonly Pull[]> {
  const pulls = await all<Pull>(world, `/repos/${REPO}/pulls?state=all`);
  return pulls.filter(({ user }) => user.login === "boss");
}

/** Page by page; the comments of an issue come all at once, whatever page is asked for. */
async function all<T>({ api }: ChaosWorld, path: string): Promise<readonly T[]> {
  if (path.endsWith("/comments")) return (await api("alice", "GET", path)) as T[];
  const rows: T[] = [];
  for (let page = 1; ; page += 1) {
    const mark = path.includes("?") ? "&" : "?";
    const found = (await api("alice", "GET", `${path}${mark}limit=50&page=${page}`)) as T[];
    rows.push(...found);
    if (found.length < 50) return rows;
  }
}

function itemOf(body: string): number {
  return Number(/Closes #(\d+)/u.exec(body)?.[1] ?? "0");
}
