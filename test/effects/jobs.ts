import { REPO } from "../../demo/scenario/widgets.ts";
import type { ToolCall, ToolName } from "../../src/domain/tools.ts";
import type { EffectContext } from "../../src/run/effects/context.ts";
import { anOrder } from "../support/store-world.ts";
import type { EffectsWorld, Job } from "./effects-world.ts";

/** One tool on a work item of its own, and what the forge shows of it. */
export interface ToolJob extends Job {
  /** The first of an attempt's doings, before its call. */
  prepare(context: EffectContext): Promise<void>;
  /** What this attempt asks for; no two attempts word it alike. */
  call(words: string): ToolCall;
  /** Everything on the forge that the tool has made here, as texts in which the words can be found. */
  made(): Promise<readonly string[]>;
}

interface Row {
  readonly user: { readonly login: string };
  readonly body: string;
  readonly state?: string;
  readonly type?: string;
}

const nothing = async (): Promise<void> => await Promise.resolve();

async function rows(world: EffectsWorld, path: string): Promise<readonly Row[]> {
  return (await world.api("boss", "GET", `/repos/${REPO}/${path}`)) as readonly Row[];
}

/** What a tool writes that is a comment: by this account, whatever its words. */
async function comments(
  world: EffectsWorld,
  number: number,
  login: string,
): Promise<readonly string[]> {
  const found = await rows(world, `issues/${number}/comments`);
  return found.filter(({ user }) => user.login === login).map(({ body }) => body);
}

async function reviews(
  world: EffectsWorld,
  pull: number,
  login: string,
): Promise<readonly string[]> {
  const found = await rows(world, `pulls/${pull}/reviews`);
  return found
    .filter(
      ({ user, state }) =>
        user.login === login && state !== "REQUEST_REVIEW" && state !== "PENDING",
    )
    .map(({ body }) => body);
}

type Make = (world: EffectsWorld) => Promise<ToolJob>;

async function openPull(world: EffectsWorld): Promise<ToolJob> {
  const number = await world.issue();
  return {
    number,
    order: anOrder({ fingerprint: `boss/implement/${number}` }),
    hasClone: true,
    prepare: async (context) => {
      // The commits of an attempt that died are on the forge, or it makes them anew.
      if (context.workspace.remoteSha === null) {
        await world.work(context, { [`note-${number}.md`]: `${context.run}\n` }, "Add a note");
      }
    },
    call: (words) => ({
      tool: "open_pull_request",
      input: { title: `A note ${words}`, body: words },
    }),
    made: async () => {
      const all = (await world.api("boss", "GET", `/repos/${REPO}/pulls?state=all`)) as readonly {
        readonly body: string;
        readonly head: { readonly ref: string };
      }[];
      return all.filter(({ head }) => head.ref === `boss/${number}`).map(({ body }) => body);
    },
  };
}

async function handIn(world: EffectsWorld): Promise<ToolJob> {
  const number = await world.issue();
  const { pull, head } = await world.pull(number);
  const review = (await world.api("reviewer", "POST", `/repos/${REPO}/pulls/${pull}/reviews`, {
    event: "REQUEST_CHANGES",
    body: "Not yet.",
    commit_id: head,
    comments: [{ path: `note-${number}.md`, body: "Wrong.", new_position: 1, old_position: 0 }],
  })) as { id: number };
  return {
    number,
    order: anOrder({
      skill: "address-review",
      fingerprint: `boss/address-review/${review.id}`,
      headSha: head,
      reviews: [review.id],
    }),
    hasClone: true,
    prepare: async (context) => {
      if (context.workspace.remoteSha === head) {
        await world.work(context, { [`note-${number}.md`]: `${context.run}\n` }, "Mend it");
      }
    },
    call: (words) => ({ tool: "hand_in", input: { summary: words, answers: [] } }),
    made: async () => {
      const timeline = await rows(world, `issues/${pull}/timeline`);
      const asked = timeline.filter(
        ({ user, type }) => user.login === "boss" && type === "review_request",
      );
      const written = await reviews(world, pull, "boss");
      // One of each is one; anything else shows as its number.
      return asked.length === written.length ? written : [...written, ...asked.map(() => "asked")];
    },
  };
}

async function submitReview(world: EffectsWorld): Promise<ToolJob> {
  const number = await world.issue();
  const { pull, head } = await world.pull(number);
  return {
    number,
    order: anOrder({
      agent: "reviewer",
      skill: "review",
      fingerprint: `reviewer/review/${head}`,
      headSha: head,
    }),
    hasClone: false,
    prepare: nothing,
    call: (words) => ({
      tool: "submit_review",
      input: {
        verdict: "request_changes",
        body: words,
        comments: [{ path: `note-${number}.md`, line: 1, body: words }],
      },
    }),
    made: async () => await reviews(world, pull, "reviewer"),
  };
}

/** A pull request that the reviewer has approved. */
async function approved(world: EffectsWorld) {
  const number = await world.issue();
  const { pull, head } = await world.pull(number);
  await world.api("reviewer", "POST", `/repos/${REPO}/pulls/${pull}/reviews`, {
    event: "APPROVED",
    body: "Good.",
    commit_id: head,
  });
  const order = anOrder({
    agent: "code-lead",
    skill: "merge",
    fingerprint: `code-lead/merge/${head}`,
    headSha: head,
  });
  return { number, pull, head, order };
}

async function requestMerge(world: EffectsWorld): Promise<ToolJob> {
  const { number, pull, order } = await approved(world);
  return {
    number,
    order,
    hasClone: false,
    prepare: nothing,
    call: (words) => ({ tool: "request_merge", input: { summary: words } }),
    made: async () => {
      const timeline = await rows(world, `issues/${pull}/timeline`);
      return timeline.filter(({ type }) => type === "merge_pull").map(() => "merged");
    },
  };
}

async function declineMerge(world: EffectsWorld): Promise<ToolJob> {
  const { number, pull, order } = await approved(world);
  return {
    number,
    order,
    hasClone: false,
    prepare: nothing,
    call: (words) => ({ tool: "decline_merge", input: { reason: words } }),
    made: async () => await comments(world, pull, "code-lead"),
  };
}

async function talk(world: EffectsWorld, tool: "reply" | "ask_human"): Promise<ToolJob> {
  const number = await world.issue();
  return {
    number,
    order: anOrder({ fingerprint: `boss/implement/${number}` }),
    hasClone: false,
    prepare: nothing,
    call: (words) =>
      tool === "reply" ? { tool, input: { body: words } } : { tool, input: { question: words } },
    made: async () => await comments(world, number, "boss"),
  };
}

/** Every tool of an agent, each on a work item made for it. */
export const JOBS: Readonly<Record<ToolName, Make>> = {
  open_pull_request: openPull,
  hand_in: handIn,
  submit_review: submitReview,
  request_merge: requestMerge,
  decline_merge: declineMerge,
  reply: async (world) => await talk(world, "reply"),
  ask_human: async (world) => await talk(world, "ask_human"),
};
