import { type Conversation, readConversation, say, use } from "./conversation.ts";
import type { RecordedRequest, Step } from "./endpoint.ts";

/** A letter the reviewer misses, and what is to stand for it. */
export interface MissedLetter {
  readonly letter: string;
  readonly text: string;
}

/**
 * The scripted colleagues of the demo. They know nothing but what the request says: which file,
 * which line, which words, how to run the tests, which tool hands the work over. Where that is
 * missing they say so and call no tool. The reviewer asks for one missed letter a round.
 */
export function respondToWidgets(
  request: RecordedRequest,
  missed: readonly MissedLetter[] = [{ letter: "ß", text: "ss" }],
): Step {
  if (!request.main) return say("ok");
  const talk = readConversation(request);
  if (talk === null) return say("I see no order in this conversation.");
  if (!talk.system.includes("mcp__forge__")) return say("Nobody told me the rules of this house.");
  const failed = talk.calls.find(({ isError }) => isError);
  if (failed !== undefined) return say(`${failed.name} failed: ${failed.result}`);
  switch (talk.skill) {
    case "implement":
      return implement(talk);
    case "review":
      return review(talk, missed);
    case "address-review":
      return addressReview(talk);
    case "merge":
      return merge(talk);
    default:
      return say(`I do not know how to ${talk.skill}.`);
  }
}

function implement(talk: Conversation): Step {
  const tool = toolIn(talk, "open_pull_request");
  if (tool === null) return say("My instructions do not say how to hand the work over.");
  const file = /`(src\/[\w./-]+)`/u.exec(talk.prompt)?.[1];
  if (file === undefined) return say("The issue names no file.");
  const tests = testCommand(talk);
  if (tests === null) return say("I do not know how this repository runs its tests.");
  const [listing, read, edit, run, commit, opened] = talk.calls;
  if (listing === undefined) return use("Bash", { command: `pwd && cat ${file}` }, "I look at it.");
  const path = `${listing.result.split("\n")[0]?.trim()}/${file}`;
  if (read === undefined) return use("Read", { file_path: path });
  const line = /^.*\.toLowerCase\(\)$/mu.exec(listing.result)?.[0];
  if (line === undefined) return say(`${file} does not look as I expected.`);
  if (edit === undefined) {
    const indent = line.slice(0, line.indexOf("."));
    const added = [`${indent}.normalize("NFD")`, `${indent}.replaceAll(/\\p{Diacritic}/gu, "")`];
    return use("Edit", {
      file_path: path,
      old_string: line,
      new_string: [line, ...added].join("\n"),
    });
  }
  if (run === undefined) return use("Bash", { command: tests });
  if (!/\b0 fail/u.test(run.result)) return say(`The tests fail: ${run.result}`);
  if (commit === undefined) {
    return use("Bash", {
      command: `git commit -qam "slugify: keep accented letters as plain ones" && git log --oneline -1`,
    });
  }
  if (opened === undefined) {
    return use(tool, {
      title: "slugify keeps accented letters",
      body: `Accented letters were dropped because the pattern knows only a-z. They are decomposed first now.\n\nTested with \`${tests}\`.`,
    });
  }
  return say("The pull request is open.");
}

function review(talk: Conversation, missed: readonly MissedLetter[]): Step {
  const tool = toolIn(talk, "submit_review");
  if (tool === null) return say("My instructions do not say how to give a verdict.");
  const file = /^\+\+\+ b\/(\S+)$/mu.exec(talk.prompt)?.[1];
  const root = /working directory[^/\n]*(\/\S+)/iu.exec(talk.system + talk.everything)?.[1];
  if (file === undefined) return say("I see no diff to review.");
  if (root === undefined) return say("I do not know where the clone is.");
  const [read, submitted] = talk.calls;
  if (read === undefined) return use("Read", { file_path: `${root}/${file}` }, "I read the file.");
  if (submitted !== undefined) return say("The review is submitted.");
  const line = read.result
    .split("\n")
    .map((text) => /^\s*(\d+)[→\t](.*)$/u.exec(text))
    .find((match) => match?.[2]?.includes(".normalize("));
  if (line?.[1] === undefined) return say(`${file} does not normalise anything.`);
  const next = missed.find(({ letter }) => !read.result.includes(`"${letter}"`));
  if (next === undefined) {
    return use(tool, {
      verdict: "approve",
      body: `${missed.at(-1)?.letter ?? "Everything"} is handled now, and the tests cover the rest.`,
    });
  }
  return use(tool, {
    verdict: "request_changes",
    body: "Right idea; one letter is still lost.",
    comments: [
      {
        path: file,
        line: Number(line[1]),
        body: `\`${next.letter}\` does not decompose, so it is still dropped: replace it with \`${next.text}\` before this line.`,
      },
    ],
  });
}

function addressReview(talk: Conversation): Step {
  const tool = toolIn(talk, "hand_in");
  if (tool === null) return say("My instructions do not say how to hand the work over.");
  // The newest remark: a prompt that tells everything shows those of earlier rounds, too.
  const remark = [
    ...talk.prompt.matchAll(
      /^### Comment (?<id>\d+) at (?<file>\S+):(?<line>\d+)\n<<[^\n]*\n(?<words>[\s\S]*?)\n\S+>>/gmu,
    ),
  ].at(-1)?.groups;
  if (remark === undefined) return say("The review names no file and line.");
  const { id = "", file = "", line = "", words = "" } = remark;
  const wish = /`(?<letter>[^`])`[^`]*replace it with `(?<text>\w+)`/u.exec(words)?.groups;
  if (wish === undefined) return say(`I do not understand the remark: ${words}`);
  const tests = testCommand(talk);
  if (tests === null) return say("I do not know how this repository runs its tests.");
  const [shown, read, edit, run, commit, handed] = talk.calls;
  if (shown === undefined) return use("Bash", { command: `pwd && sed -n ${line}p ${file}` });
  const [root = "", ...rest] = shown.result.split("\n");
  const path = `${root.trim()}/${file}`;
  const old = rest.join("\n").trimEnd();
  if (read === undefined) return use("Read", { file_path: path });
  if (edit === undefined) {
    const indent = old.slice(0, old.indexOf("."));
    const added = `${indent}.replaceAll("${wish["letter"]}", "${wish["text"]}")`;
    return use("Edit", { file_path: path, old_string: old, new_string: `${added}\n${old}` });
  }
  if (run === undefined) return use("Bash", { command: tests });
  if (!/\b0 fail/u.test(run.result)) return say(`The tests fail: ${run.result}`);
  if (commit === undefined) {
    return use("Bash", {
      command: `git commit -qam "slugify: write ${wish["letter"]} as ${wish["text"]}" && git log --oneline -1`,
    });
  }
  if (handed === undefined) {
    return use(tool, {
      summary: `${wish["letter"]} becomes ${wish["text"]} before the letters are decomposed.`,
      answers: [{ comment_id: Number(id), body: `Done: \`${wish["letter"]}\` is replaced first.` }],
    });
  }
  return say("Handed in.");
}

function merge(talk: Conversation): Step {
  const tool = toolIn(talk, "request_merge");
  if (tool === null) return say("My instructions do not say how to ask for the merge.");
  if (!/^\+.*replaceAll/mu.test(talk.prompt)) return say("I see no change to merge.");
  if (talk.calls.length > 0) return say("Merged.");
  return use(tool, { summary: "slugify keeps accented letters and ß." });
}

/** The forge tool by that name, if the instructions of the skill name it. */
function toolIn(talk: Conversation, tool: string): string | null {
  const name = `mcp__forge__${tool}`;
  return talk.instructions.includes(name) ? name : null;
}

/** How the repository's guide says that its tests are run. */
function testCommand(talk: Conversation): string | null {
  return /run the tests with `([^`]+)`/iu.exec(talk.everything)?.[1] ?? null;
}
