import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";

/** The program itself and not the wrapper around it, which wants a directory that is not always there. */
const PLACES = ["/usr/lib/chromium/chromium", "/usr/bin/chromium"];
const PATIENCE_MS = 30_000;
const LOOK_MS = 25;

/** Where Debian's Chromium is, or null. */
const CHROMIUM = PLACES.find((place) => existsSync(place)) ?? null;

const Reply = z.looseObject({
  id: z.number().optional(),
  method: z.string().optional(),
  sessionId: z.string().optional(),
  result: z.record(z.string(), z.unknown()).optional(),
  error: z.looseObject({ message: z.string() }).optional(),
});

/** A browser with an empty profile; names under `.example` are this machine. */
export interface Browser extends AsyncDisposable {
  /** Stores a cookie the way the site at this address would have set it. */
  setCookie(
    url: string,
    cookie: { name: string; value: string; sameSite: "Strict" | "None" },
  ): Promise<void>;
  /** Opens an address in a page of its own and waits until it is loaded and quiet; resolves with what the expression gives there. */
  visit<T>(url: string, expression: string): Promise<T>;
  /** Opens an address and leaves it open until the condition holds, at most so many milliseconds. */
  linger(url: string, condition: () => boolean, ms: number): Promise<void>;
  /** Opens an address like `visit`; resolves with the addresses of the frames within the page, as they ended. */
  framesIn(url: string): Promise<readonly string[]>;
}

/** Starts a headless Chromium, without its own sandbox: inside a container it often has none. */
export async function startBrowser(): Promise<Browser> {
  if (CHROMIUM === null) throw new Error("Debian's chromium is missing: apt-get install chromium");
  const profile = await mkdtemp(join(tmpdir(), "claude-hooks-browser-"));
  const child = Bun.spawn(
    [
      CHROMIUM,
      "--headless=new",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-dev-shm-usage",
      "--disable-background-networking",
      "--no-first-run",
      "--no-proxy-server",
      // Newer than many browsers in use, and it would hide what our own checks do.
      "--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests",
      "--host-resolver-rules=MAP *.example 127.0.0.1",
      `--user-data-dir=${profile}`,
      "--remote-debugging-port=0",
      "about:blank",
    ],
    { stdout: "ignore", stderr: "ignore", env: { HOME: profile, PATH: "/usr/bin:/bin" } },
  );
  const address = await until("the browser listens", async () => {
    const file = join(profile, "DevToolsActivePort");
    const [port, path] = existsSync(file) ? (await readFile(file, "utf8")).split("\n") : [];
    return port !== undefined && path?.startsWith("/devtools")
      ? `ws://127.0.0.1:${port}${path}`
      : null;
  });
  const wire = await connect(address);
  const inPage = async <T>(url: string, look: (page: string) => Promise<T>): Promise<T> => {
    const { targetId } = await wire.call("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await wire.call("Target.attachToTarget", { targetId, flatten: true });
    const page = String(sessionId);
    await wire.call("Page.enable", {}, page);
    // Pages are opened beside one another: each is to believe that it has the focus.
    await wire.call("Emulation.setFocusEmulationEnabled", { enabled: true }, page);
    await wire.call("Page.setLifecycleEventsEnabled", { enabled: true }, page);
    const quiet = wire.event(page, "networkIdle");
    await wire.call("Page.navigate", { url }, page);
    await quiet;
    const seen = await look(page);
    await wire.call("Target.closeTarget", { targetId });
    return seen;
  };
  return {
    setCookie: async (url, cookie) => {
      const { hostname } = new URL(url);
      const both = { ...cookie, domain: hostname, path: "/", httpOnly: true };
      // A cookie for other sites must be secure, which loopback may set over http.
      await wire.call("Storage.setCookies", {
        cookies: [{ ...both, secure: cookie.sameSite === "None" }],
      });
    },
    visit: async (url, expression) =>
      await inPage(url, async (page) => {
        const wish = { expression, returnByValue: true, awaitPromise: true };
        const { result } = await wire.call("Runtime.evaluate", wish, page);
        return (result as { value?: unknown }).value as never;
      }),
    linger: async (url, condition, ms) =>
      await inPage(url, async () => {
        const end = performance.now() + ms;
        while (!condition() && performance.now() < end) await Bun.sleep(LOOK_MS);
      }),
    framesIn: async (url) =>
      await inPage(url, async (page) => {
        const { frameTree } = await wire.call("Page.getFrameTree", {}, page);
        const { childFrames = [] } = frameTree as { childFrames?: { frame: { url: string } }[] };
        return childFrames.map(({ frame }) => frame.url);
      }),
    [Symbol.asyncDispose]: async () => {
      wire.close();
      child.kill("SIGKILL");
      await child.exited;
      await rm(profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
    },
  };
}

/** One connection of the DevTools protocol. */
async function connect(address: string) {
  const socket = new WebSocket(address);
  const open = Promise.withResolvers<void>();
  socket.onopen = () => open.resolve();
  socket.onerror = () => open.reject(new Error("the browser does not answer"));
  await open.promise;
  const waiting = new Map<number, (reply: z.output<typeof Reply>) => void>();
  const heard: { session: string; name: string }[] = [];
  socket.onmessage = ({ data }) => {
    const reply = Reply.parse(JSON.parse(String(data)));
    if (reply.id !== undefined) waiting.get(reply.id)?.(reply);
    const params = (JSON.parse(String(data)) as { params?: { name?: string } }).params;
    if (reply.method === "Page.lifecycleEvent" && params?.name !== undefined) {
      heard.push({ session: reply.sessionId ?? "", name: params.name });
    }
  };
  let last = 0;
  return {
    close: () => socket.close(),
    call: async (method: string, params: object, sessionId?: string) => {
      last += 1;
      const id = last;
      const answer = Promise.withResolvers<z.output<typeof Reply>>();
      waiting.set(id, answer.resolve);
      socket.send(JSON.stringify({ id, method, params, ...(sessionId && { sessionId }) }));
      const reply = await answer.promise;
      waiting.delete(id);
      if (reply.error !== undefined) throw new Error(`${method}: ${reply.error.message}`);
      return reply.result ?? {};
    },
    /** The next lifecycle event of a page with this name, from now on. */
    event: async (session: string, name: string) => {
      const from = heard.length;
      await until(`the page is at ${name}`, () =>
        heard.slice(from).some((one) => one.session === session && one.name === name),
      );
    },
  };
}

async function until<T>(what: string, probe: () => T | Promise<T>): Promise<NonNullable<T>> {
  const end = performance.now() + PATIENCE_MS;
  for (;;) {
    const found = await probe();
    if (found !== null && found !== undefined && found !== false) return found;
    if (performance.now() > end) throw new Error(`${what}: not within ${PATIENCE_MS} ms`);
    await Bun.sleep(LOOK_MS);
  }
}
