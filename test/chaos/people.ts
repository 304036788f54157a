import { REPO } from "../../demo/scenario/widgets.ts";
import type { Chance } from "./chance.ts";
import { ANSWER, type ChaosWorld } from "./world.ts";

export interface Issue {
  readonly number: number;
  /** A person closed it before it was done. */
  closed: boolean;
  answered: boolean;
  objected: boolean;
}

/** What people on the forge do while the service is being killed. */
export interface People {
  readonly issues: readonly Issue[];
  create(): Promise<void>;
  /** One act: a new issue, a word, an objection, an answer, a closing. */
  act(): Promise<void>;
  /** Answers what was asked; true when somebody had asked. */
  answer(): Promise<boolean>;
  /** Closes what pull requests an agent has open. */
  closePulls(): Promise<void>;
  /** A word on an issue, after which its agents try again. */
  encourage(number: number): Promise<void>;
}

interface Pull {
  readonly number: number;
  readonly state: string;
  readonly user: { readonly login: string };
  readonly head: { readonly ref: string };
}

/** Opens up to `issuesMax` issues and has something to say about them. */
export function peopleOf(
  { api }: ChaosWorld,
  chance: Chance,
  options: { readonly issuesMax: () => number; readonly mayClose: boolean },
): People {
  const issues: Issue[] = [];
  let words = 0;
  const word = (): number => {
    words += 1;
    return words;
  };
  const comment = async (number: number, body: string): Promise<void> => {
    await api("alice", "POST", `/repos/${REPO}/issues/${number}/comments`, { body });
  };
  const create = async (): Promise<void> => {
    const wish = word();
    const issue = { title: `Wish ${wish}`, body: `Please (${wish}).`, assignees: ["boss"] };
    const made = (await api("alice", "POST", `/repos/${REPO}/issues`, issue)) as Issue;
    issues.push({ number: made.number, closed: false, answered: false, objected: false });
  };
  const close = async (issue: Issue): Promise<void> => {
    const path = `/repos/${REPO}/issues/${issue.number}`;
    await api("alice", "PATCH", path, { state: "closed" });
    issue.closed = true;
  };
  const object = async (issue: Issue): Promise<void> => {
    const pulls = (await api("alice", "GET", `/repos/${REPO}/pulls?state=open`)) as Pull[];
    const pull = pulls.find(({ head }) => head.ref === `boss/${issue.number}`);
    if (pull === undefined) return;
    issue.objected = true;
    const review = { event: "REQUEST_CHANGES", body: `A person wants more (${issue.number}).` };
    await api("alice", "POST", `/repos/${REPO}/pulls/${pull.number}/reviews`, review);
    await api("alice", "POST", `/repos/${REPO}/pulls/${pull.number}/reviews`, {
      event: "APPROVED",
      body: "It is good enough after all.",
    });
  };
  return {
    issues,
    create,
    act: async () => {
      const some = chance.pick(issues.slice(-12));
      if (some === null || (issues.length < options.issuesMax() && chance.of(0.6))) {
        if (issues.length < options.issuesMax()) await create();
      } else if (options.mayClose && some.number % 7 === 3 && !some.closed) await close(some);
      else if (some.number % 6 === 0 && !some.objected && !some.closed) await object(some);
      else if (chance.of(0.3)) await comment(some.number, `Just saying (${word()}).`);
      else await answer();
    },
    answer,
    closePulls: async () => {
      const pulls = (await api("alice", "GET", `/repos/${REPO}/pulls?state=open`)) as Pull[];
      for (const { number } of pulls) {
        await api("alice", "PATCH", `/repos/${REPO}/pulls/${number}`, { state: "closed" });
      }
    },
    encourage: async (number) => await comment(number, `Please go on (${word()}).`),
  };

  async function answer(): Promise<boolean> {
    for (const issue of issues.filter(({ answered, closed }) => !answered && !closed)) {
      const path = `/repos/${REPO}/issues/${issue.number}/comments`;
      const said = (await api("alice", "GET", path)) as { body: string }[];
      if (!said.some(({ body }) => body.includes("Which colour"))) continue;
      issue.answered = true;
      await comment(issue.number, ANSWER);
      return true;
    }
    return false;
  }
}
