import { expect, test } from "bun:test";
import type { ForgeActor } from "../../src/ports/forge.ts";
import type { Git } from "../../src/ports/git.ts";
import { actorWhileHeld, gitWhileHeld } from "../../src/run/while-held.ts";

const READING: readonly string[] = ["login", "reviews"];
const WRITING = [
  "comment",
  "react",
  "openPull",
  "submitReview",
  "deleteReview",
  "requestReview",
  "merge",
  "cancelScheduledMerge",
  "deleteBranch",
] as const satisfies readonly (keyof ForgeActor)[];

/** An account of which every act is written down, and a lease that can be taken away. */
function standIn() {
  const acts: string[] = [];
  const lease = { held: true };
  const act = (name: string) => async () => {
    acts.push(name);
    return { id: 1 };
  };
  const names = [...WRITING, "reviews", "push", "readBase"];
  const all = Object.fromEntries(names.map((name) => [name, act(name)]));
  const actor = { ...all, login: "boss" } as unknown as ForgeActor;
  const git = all as unknown as Git;
  return {
    ...{ acts, lease },
    actor: actorWhileHeld(actor, () => lease.held),
    git: gitWhileHeld(git, () => lease.held),
  };
}

test.each(WRITING)("%s is done under a lease and refused without", async (name) => {
  const { actor, acts, lease } = standIn();
  const act = actor[name] as () => Promise<unknown>;

  await act();
  lease.held = false;
  const refused = await act().catch((error: unknown) => error);

  expect(refused).toMatchObject({ name: "ForgeFailure", kind: "unavailable" });
  expect(acts).toEqual([name]);
});

test("a push is refused without a lease; reading goes on", async () => {
  const { actor, git, acts, lease } = standIn();
  lease.held = false;

  const refused = await git.push({} as never).catch((error: unknown) => error);
  await actor.reviews("acme/widgets", 1);
  await git.readBase("acme/widgets", "main", "x", 1);

  expect(refused).toMatchObject({ name: "GitFailure", kind: "unavailable" });
  expect(acts).toEqual(["reviews", "readBase"]);
});

test("every act of an account is one of those", () => {
  const { actor } = standIn();

  expect(Object.keys(actor).toSorted()).toEqual([...WRITING, ...READING].toSorted());
});
