import { expect, test } from "bun:test";
import { applyPatch } from "diff";
import fc from "fast-check";
import type { Seen } from "../../src/domain/seen.ts";
import type { Pull, Snapshot } from "../../src/domain/snapshot.ts";
import { type DeltaPart, deltaOf, type Reader } from "../../src/sessions/delta.ts";
import {
  act,
  alice,
  boss,
  check,
  comment,
  lineComment,
  mallory,
  pullWith,
  review,
  reviewer,
  snapshotWith,
} from "../support/world.ts";

/** What somebody knows who has read the parts of all prompts so far. */
interface Knowledge {
  readonly title: string;
  readonly body: string;
  readonly pull: { readonly title: string; readonly body: string; readonly base: string } | null;
  readonly texts: Readonly<Record<string, string>>;
  readonly checks: Readonly<Record<string, string>>;
  readonly acts: readonly number[];
}

const NOTHING: Knowledge = { title: "", body: "", pull: null, texts: {}, checks: {}, acts: [] };
const OWN_SHA = "d".repeat(40);
const READERS: readonly Reader[] = [boss, reviewer].map(({ login }) => ({
  self: login,
  isTrusted: ({ id }) => id !== mallory.id,
  ownShas: new Set(login === "boss" ? [OWN_SHA] : []),
}));

/** Reads one part, as Claude would: an edit is understood from its difference. */
function read(known: Knowledge, part: DeltaPart): Knowledge {
  switch (part.kind) {
    case "issue":
      return { ...known, title: part.title, body: part.body };
    case "pull":
      return {
        ...known,
        pull: { title: part.pull.title, body: part.pull.body, base: part.pull.baseBranch },
      };
    case "edited": {
      const patched = (before: string): string => {
        const after = applyPatch(before, part.patch);
        if (after === false) throw new Error("the difference does not fit what is known");
        return after;
      };
      if (part.of === "issue") return { ...known, [part.what]: patched(known[part.what]) };
      // Its own pull request it knows without having been told; this reader keeps no account of it.
      if (known.pull === null) return known;
      return {
        ...known,
        pull: { ...known.pull, [part.what]: patched(known.pull[part.what]) },
      };
    }
    case "base":
      return known.pull === null ? known : { ...known, pull: { ...known.pull, base: part.after } };
    case "head":
      return known;
    case "comment":
      return { ...known, texts: { ...known.texts, [`c${part.comment.id}`]: part.comment.body } };
    case "review": {
      const texts = { ...known.texts, [`r${part.review.id}`]: part.review.body };
      for (const line of part.lines) texts[`l${line.id}`] = line.body;
      return { ...known, texts };
    }
    case "check":
      return { ...known, checks: { ...known.checks, [part.check.context]: part.check.state } };
    case "act":
      return { ...known, acts: [...known.acts, part.act.id].sort((a, b) => a - b) };
  }
}

const words = fc.string({
  unit: fc.constantFrom("a", "b", "ä", " ", "\n", "-", "+", "@"),
  maxLength: 12,
});
const author = fc.constantFrom(alice, boss, reviewer, mallory);

/** One thing that happens on the forge. */
type Event = (snapshot: Snapshot) => Snapshot;

function onPull(change: (pull: Pull) => Partial<Pull>): Event {
  return (snapshot) =>
    snapshot.pull === null
      ? snapshot
      : { ...snapshot, pull: { ...snapshot.pull, ...change(snapshot.pull) } };
}

let serial = 1000;
const next = (): number => {
  serial += 1;
  return serial;
};
const anEvent: fc.Arbitrary<Event> = fc.oneof(
  words.map(
    (title): Event =>
      (snapshot) => ({ ...snapshot, title }),
  ),
  words.map(
    (body): Event =>
      (snapshot) => ({ ...snapshot, body }),
  ),
  fc.tuple(author, words).map(
    ([by, body]): Event =>
      (snapshot) => ({
        ...snapshot,
        comments: [...snapshot.comments, comment({ id: next(), author: by, body })],
      }),
  ),
  fc.tuple(fc.nat(5), words).map(
    ([index, body]): Event =>
      (snapshot) => ({
        ...snapshot,
        comments: snapshot.comments.map((one, at) => (at === index ? { ...one, body } : one)),
      }),
  ),
  fc.constantFrom(boss, alice).map(
    (by): Event =>
      (snapshot) => ({
        ...snapshot,
        pull: snapshot.pull ?? pullWith({ author: by }),
      }),
  ),
  words.map((body) => onPull(() => ({ body }))),
  words.map((title) => onPull(() => ({ title }))),
  fc.constantFrom("main", "dev").map((baseBranch) => onPull(() => ({ baseBranch }))),
  fc.constantFrom(OWN_SHA, "e".repeat(40)).map((headSha) => onPull(() => ({ headSha }))),
  fc.tuple(author, words, words).map(([by, body, line]) =>
    onPull(({ reviews }) => ({
      reviews: [
        ...reviews,
        review({
          id: next(),
          author: by,
          body,
          comments: line === "" ? [] : [lineComment({ id: next(), body: line })],
        }),
      ],
    })),
  ),
  fc.nat(3).map((index) =>
    onPull(({ reviews }) => ({
      reviews: reviews.map((one, at) =>
        at === index
          ? { ...one, comments: [...one.comments, lineComment({ id: next(), body: "late" })] }
          : one,
      ),
    })),
  ),
  fc
    .constantFrom<("success" | "failure")[]>("success", "failure")
    .map((state) => onPull(() => ({ checks: [check({ state, at: next() })] }))),
  fc.constantFrom(alice, boss, mallory).map(
    (actor): Event =>
      (snapshot) => ({
        ...snapshot,
        acts: [
          ...snapshot.acts,
          act({ id: next(), actor, kind: "review_requested", subject: reviewer }),
        ],
      }),
  ),
);

const RUNS = 2000;

test(`start and delta prompts together tell what a full prompt at the end would tell (${RUNS} histories)`, () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(anEvent, fc.boolean()), { maxLength: 25 }),
      fc.constantFrom(...READERS),
      (history, reader) => {
        let snapshot = snapshotWith();
        const first = deltaOf(null, snapshot, reader);
        let seen: Seen = first.seen;
        let known = first.parts.reduce(read, NOTHING);
        const prompt = (): void => {
          const delta = deltaOf(seen, snapshot, reader);
          known = delta.parts.reduce(read, known);
          seen = delta.seen;
          expect(deltaOf(seen, snapshot, reader).parts).toEqual([]);
        };
        for (const [event, isPrompted] of history) {
          snapshot = event(snapshot);
          if (isPrompted) prompt();
        }
        prompt();

        const full = deltaOf(null, snapshot, reader);
        const others = full.parts.filter((part) => !isOwnText(part, reader));
        expect(withoutOwnPull(known, snapshot, reader)).toEqual(
          withoutOwnPull(others.reduce(read, NOTHING), snapshot, reader),
        );
        expect(full.seen).toEqual(seen);
      },
    ),
    { numRuns: RUNS },
  );
});

test("nothing a stranger wrote is in any part", () => {
  fc.assert(
    fc.property(
      fc.array(anEvent, { maxLength: 20 }),
      fc.constantFrom(...READERS),
      (events, reader) => {
        const snapshot = events.reduce((state, event) => event(state), snapshotWith());
        const authors = deltaOf(null, snapshot, reader).parts.flatMap((part) => {
          if (part.kind === "comment") return [part.comment.author];
          if (part.kind === "review") return [part.review.author];
          return part.kind === "act" ? [part.act.actor] : [];
        });
        expect(authors).not.toContain(mallory);
      },
    ),
  );
});

/** A running session knows what it wrote; only a new conversation is told. */
function isOwnText(part: DeltaPart, { self }: Reader): boolean {
  if (part.kind === "comment") return part.comment.author.login === self;
  return part.kind === "review" && part.review.author.login === self;
}

test("a new conversation is told what the agent asked in an earlier one, a running one is not", () => {
  const reader: Reader = { self: boss.login, isTrusted: () => true, ownShas: new Set() };
  const question = comment({ id: 1, author: boss, body: "Which colour?" });
  const answer = comment({ id: 2, body: "Blue." });
  const asked = snapshotWith({ comments: [question] });
  const answered = snapshotWith({ comments: [question, answer] });
  const told = (parts: readonly DeltaPart[]): readonly string[] =>
    parts.flatMap((part) => (part.kind === "comment" ? [part.comment.body] : []));

  expect(told(deltaOf(null, answered, reader).parts)).toEqual(["Which colour?", "Blue."]);
  expect(told(deltaOf(deltaOf(null, asked, reader).seen, answered, reader).parts)).toEqual([
    "Blue.",
  ]);
});

/** An agent is told of edits of its own pull request, but never the whole of what it wrote itself. */
function withoutOwnPull(known: Knowledge, snapshot: Snapshot, reader: Reader): Knowledge {
  const isOwn = snapshot.pull?.author.login === reader.self;
  return isOwn ? { ...known, pull: null } : known;
}
