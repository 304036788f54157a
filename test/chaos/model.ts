import { readConversation, say, use } from "../../demo/model/conversation.ts";
import type { RecordedRequest, Step } from "../../demo/model/endpoint.ts";

/** What the real CLI's model says in the chaos test: one commit and one forge tool for each skill. */
export function scriptedColleagues(request: RecordedRequest): Step {
  const talk = request.main ? readConversation(request) : null;
  if (talk === null) return say("ok");
  const made = talk.calls.filter(({ isError }) => !isError).length;
  const word = `${request.n}`;
  const path = `items/${talk.number}.txt`;
  const command = `mkdir -p items && echo ${word} >> ${path} && git add -A && git commit -qm ${word}`;
  const all = {
    implement: [
      use("Bash", { command }),
      tool("open_pull_request", { title: `Item ${word}`, body: `It is there (${word}).` }),
    ],
    review: [tool("submit_review", { verdict: "approve", body: `Good (${word}).` })],
    merge: [tool("request_merge", { summary: `Merged (${word}).` })],
  };
  const steps: readonly Step[] = Object.hasOwn(all, talk.skill)
    ? all[talk.skill as keyof typeof all]
    : [];
  return steps[made] ?? say("Done.");
}

const tool = (name: string, input: unknown): Step => use(`mcp__forge__${name}`, input);
