import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { BUILT_SKILLS, type Skill } from "../domain/skill.ts";

const PROMPT_BYTES_MAX = 32_768;
const SYSTEM_FILE = "system.md";
/** What a conversation is asked before another one takes its place. */
export const HAND_OVER_FILE = "hand-over.md";

/** The texts of all prompt files, complete or refused. */
export interface PromptFiles {
  /** The rules that must always hold; they survive compaction, so they are in the system prompt. */
  readonly system: string;
  /** By file name, e.g. `review-delta.md`. */
  readonly texts: ReadonlyMap<string, string>;
}

/** A prompt file that keeps the service from starting. */
export interface PromptProblem {
  readonly file: string;
  readonly problem: string;
  readonly remedy: string;
}

/** The file of a skill for a new session or a resumed one. */
export function promptFile(skill: Skill, resumed: boolean): string {
  return resumed ? `${skill}-delta.md` : `${skill}.md`;
}

/** Every prompt file an installation must have. */
export function requiredPromptFiles(): readonly string[] {
  return [
    SYSTEM_FILE,
    HAND_OVER_FILE,
    ...BUILT_SKILLS.flatMap((skill) => [promptFile(skill, false), promptFile(skill, true)]),
  ];
}

/**
 * Reads every required prompt file, the first of `directories` that has it winning (an
 * installation's own directory before ours). A file that is missing, empty or too large is a
 * problem that keeps the service from starting.
 */
export async function loadPromptFiles(
  directories: readonly string[],
): Promise<{ ok: true; files: PromptFiles } | { ok: false; problems: readonly PromptProblem[] }> {
  const texts = new Map<string, string>();
  const problems: PromptProblem[] = [];
  for (const file of requiredPromptFiles()) {
    const found = await firstOf(directories, file);
    if (found === null) {
      problems.push({
        file: join(directories.at(-1) ?? "skills", file),
        problem: "is missing",
        remedy:
          "every built skill needs its start and its delta prompt, and every session the system prompt and the hand-over; restore the file",
      });
    } else if (found.text.trim() === "") {
      problems.push({ file: found.path, problem: "is empty", remedy: "write the prompt" });
    } else if (Buffer.byteLength(found.text) > PROMPT_BYTES_MAX) {
      problems.push({
        file: found.path,
        problem: `has more than ${PROMPT_BYTES_MAX} bytes`,
        remedy: "shorten the prompt",
      });
    } else texts.set(file, found.text.trim());
  }
  const system = texts.get(SYSTEM_FILE);
  if (problems.length > 0 || system === undefined) return { ok: false, problems };
  return { ok: true, files: { system, texts } };
}

async function firstOf(
  directories: readonly string[],
  file: string,
): Promise<{ path: string; text: string } | null> {
  for (const directory of directories) {
    const path = join(directory, file);
    try {
      return { path, text: await readFile(path, "utf8") };
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }
  return null;
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
