import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type AskedText, askedTextOf } from "../../src/domain/asked-text.ts";
import { decide } from "../../src/domain/decide.ts";
import type { Decision } from "../../src/domain/decision.ts";
import type { Ledger } from "../../src/domain/ledger.ts";
import { agentOf, isPermitted } from "../../src/domain/people.ts";
import type { Policy } from "../../src/domain/policy.ts";
import type { Account, Snapshot } from "../../src/domain/snapshot.ts";
import {
  act,
  alice,
  boss,
  comment,
  ledgerWith,
  mallory,
  NOW,
  policyWith,
  pullWith,
  review,
  reviewer,
  snapshotWith,
} from "../support/world.ts";

interface Case {
  readonly snapshot?: Partial<Snapshot>;
  readonly policy?: Partial<Policy["repository"]>;
  readonly ledger?: Partial<Ledger>;
  readonly unsandboxed?: boolean;
  readonly askedText?: AskedText | null;
}

function decided(one: Case): Decision {
  return decide({
    snapshot: snapshotWith(one.snapshot),
    ledger: ledgerWith(one.ledger),
    policy: { ...policyWith(one.policy), unsandboxed: one.unsandboxed ?? false },
    conflicts: false,
    askedText: one.askedText ?? null,
    now: NOW,
  });
}

/** Another account under a name that counts, or one that only looks like it. */
const impostor = fc.record<Account>({
  id: fc.integer({ min: 1000, max: 2000 }),
  login: fc.constantFrom(
    ...["alice", "ALICE", "alice[bot]", "[bot]", "boss", "boss[bot]", "Reviewer", "code-lead"],
    ...["dependabot[bot]", "github-actions[bot]", "admin", "forgejo-actions", "ghost"],
  ),
});

/** The item as it stands with everything that somebody does who is this account. */
function doneBy(who: Account): Snapshot {
  return snapshotWith({
    author: who,
    acts: [act({ actor: who, subject: boss })],
    comments: [comment({ author: who, body: "@boss continue" })],
    pull: null,
  });
}

describe("a name", () => {
  test("gives nothing to an account that does not have write access under its own number", () => {
    fc.assert(
      fc.property(impostor, (who) => {
        const snapshot = doneBy(who);
        const policy = policyWith();
        expect(agentOf(who, { snapshot, policy })).toBeUndefined();
        expect(isPermitted(who, snapshot, policy)).toBe(false);
        expect(decided({ snapshot }).kind).toBe("nothing");
        // Its review of an agent's pull request asks nothing of anybody either.
        const pull = pullWith({
          reviews: [review({ author: who, state: "REQUEST_CHANGES" })],
          requestedReviewers: [reviewer],
        });
        const requested = act({ id: 7, kind: "review_requested", number: 2, actor: who });
        const acts = [act({ subject: boss }), { ...requested, subject: reviewer }];
        const after = decided({ snapshot: { pull, acts }, policy: { review: "requested" } });
        expect(after.kind).toBe("nothing");
      }),
    );
  });

  test("= the same acts of the accounts that have write access make agents work", () => {
    expect(decided({ snapshot: doneBy(alice) }).kind).toBe("run");
    const pull = pullWith({ reviews: [review({ state: "REQUEST_CHANGES" })] });
    expect(decided({ snapshot: { pull } })).toMatchObject({
      kind: "run",
      order: { skill: "address-review" },
    });
  });

  test("in may_trigger counts for the account that had it first, or for the one with the number", () => {
    const policy = policyWith({ mayTrigger: ["Bob", "carol#7"] });
    const may = (account: Account, named: Record<string, number> = {}): boolean =>
      isPermitted(account, snapshotWith({ named }), policy);

    expect(may({ id: 5, login: "bob" }, { bob: 5 })).toBe(true);
    expect(may({ id: 6, login: "bob" }, { bob: 5 })).toBe(false);
    expect(may({ id: 5, login: "robert" }, { bob: 5 })).toBe(false);
    expect(may({ id: 7, login: "Carol" })).toBe(true);
    expect(may({ id: 8, login: "carol" }, { carol: 8 })).toBe(false);
    expect(may({ id: 9, login: "carol#7" })).toBe(false);
  });
});

describe("a pull request of a fork", () => {
  const asked = act({ id: 9, kind: "review_requested", number: 2, subject: reviewer });
  const fork = pullWith({ author: mallory, sameRepo: false });

  test("starts no run, whoever asks, whatever it holds; a person is told why, once", () => {
    fc.assert(
      fc.property(
        fc.record({
          author: fc.constantFrom(alice, boss, mallory),
          reviews: fc.subarray([
            review({ state: "REQUEST_CHANGES", author: alice }),
            review({ id: 901 }),
          ]),
          draft: fc.boolean(),
        }),
        fc.constantFrom<Policy["repository"]["review"][]>("requested", "agents", "all"),
        (pull, wanted) => {
          const decision = decided({
            snapshot: {
              kind: "pull",
              assignees: [],
              acts: [asked],
              pull: pullWith({ ...pull, sameRepo: false }),
              comments: [comment({ number: 2, body: "@code-lead merge" })],
            },
            policy: { review: wanted },
          });
          expect(decision).toMatchObject({
            kind: "refuse",
            agent: "reviewer",
            reason: expect.stringContaining("comes from a fork") as unknown,
          });
        },
      ),
    );
    const key = "acme/widgets#1|reviewer/refuse/act:9";
    const said = { id: 1, key, run: "", tool: "refuse", state: "done", ref: 1 } as const;
    expect(
      decided({
        snapshot: { kind: "pull", assignees: [], acts: [asked], pull: fork },
        ledger: { effects: [{ ...said, text: "", at: 0 }] },
      }).kind,
    ).toBe("nothing");
  });

  test("= the same pull request of a branch is reviewed", () => {
    const pull = { ...fork, sameRepo: true, author: alice };
    const snapshot = { kind: "pull", assignees: [], acts: [asked], pull } as const;
    expect(decided({ snapshot })).toMatchObject({ kind: "run", order: { skill: "review" } });
  });
});

describe("an issue of somebody without write access", () => {
  const given = { author: mallory } as const;
  const asked = askedTextOf("act:100", snapshotWith(given));

  test("that was changed after it was given waits for a new act of a person", () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (title, body) => {
        const changed = { ...given, title, body };
        const same = askedTextOf("act:100", snapshotWith(changed)).digest === asked.digest;
        const decision = decided({ snapshot: changed, askedText: asked });
        if (same) expect(decision.kind).toBe("run");
        else expect(decision).toMatchObject({ kind: "park", park: { name: "edited" } });
        // A newer act of a person is about the newer text.
        const again = comment({ body: "@boss continue" });
        const after = decided({ snapshot: { ...changed, comments: [again] }, askedText: asked });
        expect(after).toMatchObject({ kind: "run" });
      }),
    );
  });

  test("= unchanged it is worked for, and so is one of a person who changed it", () => {
    expect(decided({ snapshot: given, askedText: asked }).kind).toBe("run");
    const own = { author: alice, body: "Something else." };
    expect(decided({ snapshot: own, askedText: asked }).kind).toBe("run");
  });

  test("cannot swap words between title and body unseen", () => {
    const one = askedTextOf("act:1", snapshotWith({ title: "a", body: "b\nc" }));
    const two = askedTextOf("act:1", snapshotWith({ title: "a\nb", body: "c" }));
    expect(one.digest).not.toBe(two.digest);
  });
});

describe("without a sandbox", () => {
  const byMallory = { author: mallory } as const;
  const cases: readonly (readonly [string, Case])[] = [
    ["an outsider's issue", { snapshot: byMallory }],
    [
      "an issue an earlier session of which read an outsider's words",
      { ledger: { tainted: true } },
    ],
    [
      "a named person without write access",
      {
        snapshot: { acts: [act({ actor: mallory, subject: boss })] },
        policy: { mayTrigger: ["mallory"] },
      },
    ],
  ];

  test.each(cases)("%s is refused with the reason", (_, one) => {
    expect(decided({ ...one, unsandboxed: true })).toMatchObject({
      kind: "refuse",
      reason: expect.stringContaining("without a sandbox") as unknown,
    });
  });

  test.each(cases)("= in the sandbox %s is worked for", (_, one) => {
    expect(decided(one).kind).toBe("run");
  });

  test("people with write access are worked for", () => {
    expect(decided({ unsandboxed: true }).kind).toBe("run");
  });
});

describe("where anyone may give work", () => {
  const policy = { mayTrigger: "anyone", review: "all" } as const;

  test("nothing is changed and nothing merged: every run only reads", () => {
    const byStranger = { author: mallory, acts: [act({ actor: mallory, subject: boss })] };
    expect(decided({ snapshot: byStranger, policy })).toMatchObject({ kind: "refuse" });
    const demands = pullWith({
      reviews: [review({ state: "REQUEST_CHANGES", author: mallory, commitId: "x" })],
    });
    expect(decided({ snapshot: { pull: demands }, policy })).not.toMatchObject({
      order: { skill: "address-review" },
    });
    const approved = pullWith({ reviews: [review()] });
    expect(decided({ snapshot: { pull: approved }, policy })).toMatchObject({ kind: "nothing" });
  });

  test("= without the key the same work is done", () => {
    expect(decided({}).kind).toBe("run");
    const approved = pullWith({ reviews: [review()] });
    expect(decided({ snapshot: { pull: approved } })).toMatchObject({ order: { skill: "merge" } });
  });

  test("a review is still given", () => {
    const pull = pullWith({});
    expect(decided({ snapshot: { pull }, policy })).toMatchObject({
      kind: "run",
      order: { skill: "review" },
    });
  });
});
