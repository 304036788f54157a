import type { Store } from "../../src/ports/store.ts";

export const RUN_ID = "run-0001";
export const HOSTILE = "<script>alert(1)</script>";

/** Puts one work item with a pull request and one running run into a store, by its own ways. */
export async function fillStore(store: Store, at: number): Promise<void> {
  const item = { repo: "acme/widgets", number: 42 };
  const order = {
    agent: "boss",
    skill: "implement",
    fingerprint: "boss implement 1",
    reason: `alice assigned it ${HOSTILE}`,
    asked: null,
    headSha: null,
    reviews: [],
  } as const;
  await store.work.mark([{ repo: item.repo, target: { kind: "number", number: 42 } }], true);
  for (const row of await store.work.unresolved(10)) {
    await store.work.resolve([{ row, items: [item] }]);
  }
  const claim = await store.work.claimReconcile("test", 60_000);
  if (claim === null) {
    throw new Error("nothing to reconcile");
  }
  await store.pulls.write(item.repo, 43, item.number);
  await store.work.settleReconcile(claim, {
    decision: "run implement",
    reason: order.reason,
    state: "waiting",
    lookAgainAt: null,
    order,
    snapshot: null,
    pull: 43,
    parks: [],
  });
  const run = await store.work.claimRun("test", 60_000, { runs: 4, runsPerAgent: 2 });
  if (run === null) {
    throw new Error("no order to run");
  }
  const session = {
    key: "boss:acme/widgets#42",
    agent: "boss",
    ...item,
    sessionId: "6d2f1f2e-8f0c-4d52-9e1c-0a1b2c3d4e5f",
    createdAt: at,
    updatedAt: at,
    resumes: 0,
    tainted: false,
    usdTotal: 0,
  };
  await store.runs.start(run, {
    id: RUN_ID,
    item,
    order,
    session,
    resumed: false,
    startedAt: at,
    shown: [],
    seen: { title: "", body: "", pull: null, texts: {}, checks: {}, acts: [] },
    promptBytes: 1_234,
  });
}
