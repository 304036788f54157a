import { connect, type Socket } from "node:net";
import { createRequests } from "./payload.ts";

/** What one load has measured; times in milliseconds. */
export interface LoadResult {
  /** Answers 200 and 202 per second. */
  readonly rate: number;
  readonly refused: number;
  readonly p50: number;
  readonly p99: number;
}

const CONNECTIONS = 32;
/** Requests made before the clock starts, so that making them costs the receiver nothing. */
const READY = 4_000;

/** `bun bench/intake/load.ts <url> <seconds> [rate]`: with a rate an open loop, otherwise a closed one. */
async function main(): Promise<void> {
  const [address = "", seconds = "5", rate] = process.argv.slice(2);
  const url = new URL(address);
  const make = createRequests(url.host, url.pathname);
  const ready = Array.from({ length: READY }, make);
  const next = (): Buffer => ready.pop() ?? make();
  const clients = await Promise.all(Array.from({ length: CONNECTIONS }, () => open(url)));
  for (const client of clients) await client(next());
  const result =
    rate === undefined
      ? await closedLoop(clients, next, Number(seconds) * 1000)
      : await openLoop(clients, next, { ms: Number(seconds) * 1000, rate: Number(rate) });
  console.log(JSON.stringify(result));
  process.exit(0);
}

/** Sends one request and resolves with the status of its answer. */
type Client = (request: Buffer) => Promise<number>;

/** Every connection sends as soon as it has its answer. */
async function closedLoop(
  clients: readonly Client[],
  next: () => Buffer,
  ms: number,
): Promise<LoadResult> {
  const tally = createTally();
  const end = performance.now() + ms;
  await Promise.all(
    clients.map(async (client) => {
      while (performance.now() < end) {
        const request = next();
        const start = performance.now();
        tally.add(await client(request), performance.now() - start);
      }
    }),
  );
  return tally.result(ms);
}

/** A request is due at its time whatever came of those before; waiting for a connection counts. */
async function openLoop(
  clients: readonly Client[],
  next: () => Buffer,
  { ms, rate }: { readonly ms: number; readonly rate: number },
): Promise<LoadResult> {
  const tally = createTally();
  const start = performance.now();
  const total = Math.floor((ms / 1000) * rate);
  let sent = 0;
  await Promise.all(
    clients.map(async (client) => {
      for (;;) {
        const number = sent;
        sent += 1;
        if (number >= total) return;
        const request = next();
        const due = start + (number * 1000) / rate;
        while (performance.now() < due) await sleepUntil(due);
        tally.add(await client(request), performance.now() - due);
      }
    }),
  );
  return tally.result(performance.now() - start);
}

/** Timers are coarse: the last millisecond is waited for in turns of the loop. */
async function sleepUntil(due: number): Promise<void> {
  const left = due - performance.now();
  await (left > 1.5 ? Bun.sleep(left - 1) : new Promise((resolve) => setImmediate(resolve)));
}

function createTally() {
  const times: number[] = [];
  let refused = 0;
  return {
    add(status: number, ms: number): void {
      if (status === 200 || status === 202) times.push(ms);
      else refused += 1;
    },
    result(ms: number): LoadResult {
      times.sort((a, b) => a - b);
      const at = (part: number): number => times[Math.floor(times.length * part)] ?? Number.NaN;
      return { rate: (times.length * 1000) / ms, refused, p50: at(0.5), p99: at(0.99) };
    },
  };
}

/** One kept connection; reads the answer's head and as much body as it declares. */
async function open(url: URL): Promise<Client> {
  const socket = await connected(url);
  let received = "";
  let answered: ((status: number) => void) | null = null;
  socket.on("data", (data) => {
    received += data.toString("latin1");
    if (answered === null || !isWhole(received)) return;
    const status = Number(received.slice(9, 12));
    received = "";
    answered(status);
  });
  return (request) => {
    const { promise, resolve } = Promise.withResolvers<number>();
    answered = resolve;
    socket.once("close", () => resolve(0));
    socket.write(request);
    return promise.finally(() => socket.removeAllListeners("close"));
  };
}

async function connected(url: URL): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const socket = connect(Number(url.port), url.hostname);
  socket.setNoDelay(true);
  socket.once("connect", () => resolve(socket));
  socket.once("error", reject);
  return promise;
}

function isWhole(text: string): boolean {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return false;
  const length = /\r\ncontent-length: (\d+)/i.exec(text)?.[1];
  if (length !== undefined) return text.length >= end + 4 + Number(length);
  return /\r\ntransfer-encoding: chunked/i.test(text) ? text.endsWith("0\r\n\r\n") : true;
}

await main();
