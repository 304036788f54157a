import { SourceMap } from "node:module";

/** A part of a program that ran never, or a condition that never had its other outcome. */
interface Missed {
  /** Path and line of the source, as `src/intake/payload.ts:12`. */
  readonly at: string;
  readonly code: string;
  readonly why: "never run" | "never skipped";
}

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: unknown;
  readonly result?: unknown;
}

interface Script {
  readonly scriptId: string;
  readonly url: string;
  readonly sourceMapURL: string;
}

interface Block {
  readonly startOffset: number;
  readonly endOffset: number;
  readonly executionCount: number;
}

/** What was measured: the scripts by their path, and what of them was missed. */
export interface Branches {
  readonly scripts: readonly string[];
  readonly blocks: number;
  readonly missed: readonly Missed[];
}

const PRELOAD = new URL("stay-until-measured.ts", import.meta.url).pathname;

/**
 * Runs the tests of one file in a process of its own and returns which branches of the scripts below
 * `folder` (absolute, with its last slash) they did not take: basic blocks that never ran, and arms of
 * `if`, `&&`, `||`, `??` and `?.` that ran each time the condition was asked (the other outcome of an
 * `if` without `else` has no block of its own). `bun test --coverage` knows lines and functions only;
 * the control flow profiler of JavaScriptCore behind it counts each block, and Bun's inspector hands
 * that out (measured with Bun 1.4.5). Throws with the output of the tests when they fail.
 */
export async function measureBranches(
  file: string,
  { folder, env }: { readonly folder: string; readonly env?: Readonly<Record<string, string>> },
): Promise<Branches> {
  const key = crypto.randomUUID();
  const child = Bun.spawn(
    [process.execPath, "test", `--inspect-wait=127.0.0.1:0/${key}`, "--preload", PRELOAD, file],
    { env: { ...process.env, ...env }, stdin: "pipe", stdout: "pipe", stderr: "pipe" },
  );
  const out = reading(child.stdout);
  const err = reading(child.stderr);
  try {
    const address = await err.find(new RegExp(`ws://127\\.0\\.0\\.1:\\d+/${key}`));
    await using inspector = await connect(address);
    for (const domain of ["Inspector.enable", "Runtime.enable", "Debugger.enable"])
      await inspector.call(domain);
    await inspector.call("Runtime.enableControlFlowProfiler");
    await inspector.call("Inspector.initialized");
    await out.find(/ALL-TESTS-RAN/);
    const measured = await readBranches(inspector, folder);
    await child.stdin.end();
    if ((await child.exited) !== 0) throw new Error(`the tests failed:\n${err.text()}`);
    return measured;
  } finally {
    child.kill("SIGKILL");
    await child.exited;
  }
}

async function readBranches({ call, scripts }: Inspector, folder: string): Promise<Branches> {
  // Its answer comes after the news of all scripts, which may be later than what the tests print.
  await call("Runtime.enable");
  const own = scripts.filter(({ url }) => url.startsWith(folder));
  if (own.length === 0) throw new Error(`the tests loaded nothing below ${folder}`);
  const missed: Missed[] = [];
  let blocks = 0;
  for (const { scriptId, url, sourceMapURL } of own) {
    const { scriptSource } = (await call("Debugger.getScriptSource", { scriptId })) as {
      scriptSource: string;
    };
    const { basicBlocks } = (await call("Runtime.getBasicBlocks", { sourceID: scriptId })) as {
      basicBlocks: readonly Block[];
    };
    const map = new SourceMap(JSON.parse(atob(sourceMapURL.replace(/^.*base64,/s, ""))));
    blocks += basicBlocks.length;
    for (const { block, why } of missedIn(scriptSource, basicBlocks)) {
      missed.push({
        at: `${url.slice(folder.length)}:${lineOf(scriptSource, block.startOffset, map)}`,
        code: scriptSource
          .slice(block.startOffset, block.endOffset + 1)
          .trim()
          .slice(0, 100),
        why,
      });
    }
  }
  return { scripts: own.map(({ url }) => url.slice(folder.length)), blocks, missed };
}

function missedIn(
  source: string,
  blocks: readonly Block[],
): readonly { readonly block: Block; readonly why: Missed["why"] }[] {
  const endingAt = new Map(blocks.map((block) => [block.endOffset, block]));
  const textOf = (block: Block) => source.slice(block.startOffset, block.endOffset + 1).trimStart();
  /** What runs just before it and decides about it; of `a?.b ?? c` what stands before all of it. */
  const deciderOf = (block: Block): Block | undefined => {
    const before = endingAt.get(block.startOffset - 1);
    const isChain = before !== undefined && textOf(before).startsWith("?.");
    return isChain && /^\?[.?]/.test(textOf(block)) ? deciderOf(before) : before;
  };
  return blocks.flatMap((block): { readonly block: Block; readonly why: Missed["why"] }[] => {
    if (block.executionCount === 0) return [{ block, why: "never run" }];
    const decider = deciderOf(block);
    const isOperator = /^(?:&&|\|\||\?\?|\?\.)/.test(textOf(block));
    return decider !== undefined &&
      (isOperator || followsIf(source.slice(0, block.startOffset))) &&
      block.executionCount >= decider.executionCount
      ? [{ block, why: "never skipped" }]
      : [];
  });
}

/** Whether the text ends with the condition of an `if`. */
function followsIf(text: string): boolean {
  const head = text.trimEnd();
  return head.endsWith(")") && /(?:^|\W)if \($/.test(head.slice(0, openerOf(head) + 1));
}

/** Where the bracket opens that the text ends with. */
function openerOf(text: string): number {
  let depth = 0;
  for (let at = text.length - 1; at >= 0; at -= 1) {
    if (text[at] === ")") depth += 1;
    if (text[at] === "(") depth -= 1;
    if (depth === 0) return at;
  }
  return -1;
}

function lineOf(source: string, offset: number, map: SourceMap): number {
  const lead = /^\s*/.exec(source.slice(offset))?.[0].length ?? 0;
  const before = source.slice(0, offset + lead);
  const line = before.split("\n").length - 1;
  const entry = map.findEntry(line, before.length - before.lastIndexOf("\n") - 1);
  return "originalLine" in entry ? entry.originalLine + 1 : 0;
}

interface Inspector extends AsyncDisposable {
  readonly scripts: readonly Script[];
  call(method: string, params?: object): Promise<unknown>;
}

async function connect(address: string): Promise<Inspector> {
  const socket = new WebSocket(address);
  const waiting = new Map<number, (result: unknown) => void>();
  const scripts: Script[] = [];
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(String(data)) as Message;
    if (message.id !== undefined) waiting.get(message.id)?.(message.result);
    if (message.method === "Debugger.scriptParsed") scripts.push(message.params as Script);
  };
  await new Promise<void>((resolve, reject) => {
    socket.onopen = () => resolve();
    socket.onerror = () => reject(new Error("the inspector does not answer"));
  });
  let last = 0;
  return {
    scripts,
    call: (method, params = {}) => {
      last += 1;
      const answer = Promise.withResolvers<unknown>();
      waiting.set(last, answer.resolve);
      socket.send(JSON.stringify({ id: last, method, params }));
      return answer.promise;
    },
    async [Symbol.asyncDispose]() {
      socket.close();
    },
  };
}

/** Reads a stream to its end, so that its writer never waits, and finds what is said in it. */
function reading(stream: ReadableStream<Uint8Array>): {
  text(): string;
  find(pattern: RegExp): Promise<string>;
} {
  let text = "";
  let ended = false;
  let wake = Promise.withResolvers<void>();
  const pump = async () => {
    const decoder = new TextDecoder();
    for await (const piece of stream) {
      text += decoder.decode(piece, { stream: true });
      wake.resolve();
    }
    ended = true;
    wake.resolve();
  };
  const pumped = pump();
  return {
    text: () => text,
    async find(pattern) {
      for (;;) {
        const found = pattern.exec(text);
        if (found !== null) return found[0];
        if (ended) {
          await pumped;
          throw new Error(`${pattern} was not said:\n${text}`);
        }
        await wake.promise;
        wake = Promise.withResolvers();
      }
    },
  };
}
