/** One thing wrong with the configuration, in the words of the person who wrote it. */
export interface ConfigProblem {
  /** Dotted path, e.g. `repositories[0].autonomy`; `file` for the file as a whole. */
  readonly key: string;
  /** What stands there; of a secret only its length. */
  readonly value: string;
  /** What to do about it. */
  readonly remedy: string;
  /** Line of the file, from 1, when there is one. */
  readonly line: number | null;
}

/** Something to say at every start although the configuration holds, by key. */
export interface ConfigNotice {
  readonly key: string;
  readonly message: string;
}

/** The problem as one line: `FILE:LINE: key is value: remedy`. */
export function formatProblem(problem: ConfigProblem, file: string | null): string {
  const place = file === null ? "" : `${file}${problem.line === null ? "" : `:${problem.line}`}: `;
  return `${place}${problem.key} is ${problem.value}: ${problem.remedy}`;
}

/** Dotted path of a key as it is written in messages; unusual names are quoted. */
export function formatKey(path: readonly PropertyKey[]): string {
  let text = "";
  for (const part of path) {
    if (typeof part === "number") {
      text += `[${part}]`;
      continue;
    }
    const name = String(part);
    const plain = /^[A-Za-z0-9_-]{1,64}$/.test(name);
    text += plain ? `${text === "" ? "" : "."}${name}` : `[${JSON.stringify(name.slice(0, 64))}]`;
  }
  return text === "" ? "file" : text;
}
