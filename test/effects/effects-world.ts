import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type EmbeddedForge, startForge } from "../../demo/forge/start-forge.ts";
import { type Api, pushFiles, REPO, setUpWidgets } from "../../demo/scenario/widgets.ts";
import type { RunOrder } from "../../src/domain/decision.ts";
import type { Policy } from "../../src/domain/policy.ts";
import type { Snapshot } from "../../src/domain/snapshot.ts";
import { createForge, type ForgeClient } from "../../src/forge/create-forge.ts";
import { createGit } from "../../src/git/create-git.ts";
import { createSecretScan } from "../../src/observe/secret-scan.ts";
import type { Git, Workspace } from "../../src/ports/git.ts";
import type { Log } from "../../src/ports/observe.ts";
import type { EffectContext } from "../../src/run/effects/context.ts";
import { settleIntents } from "../../src/run/effects/settle-intents.ts";
import { createSnapshotReader } from "../../src/work/read-snapshot.ts";
import { commit, sh } from "../git/workbench.ts";
import {
  aResult,
  aSession,
  aStart,
  claimReconcile,
  claimRun,
  markItem,
  openStoreWorld,
  type StoreWorld,
} from "../support/store-world.ts";
import { policyWith } from "../support/world.ts";
import { type Fuse, fuse, mortal } from "./mortal.ts";

/** A value the service keeps secret in this world. */
export const SECRET = "tok-5e8f0c1d2b3a49788796a5b4c3d2e1f0";

/** What effects reach the outside by. */
export type Ports = Pick<
  EffectContext,
  "reader" | "actor" | "git" | "effects" | "runs" | "pulls" | "look"
>;

/** One order on one work item, as an attempt of the service finds it. */
export interface Job {
  readonly number: number;
  readonly order: RunOrder;
  /** The agent's clone is needed: it is prepared for each attempt. */
  readonly hasClone: boolean;
}

/** The embedded forge by HTTP, real git and the real store around the effects of runs. */
export interface EffectsWorld extends AsyncDisposable {
  readonly forge: EmbeddedForge;
  readonly client: ForgeClient;
  readonly database: StoreWorld;
  readonly git: Git;
  readonly api: Api;
  readonly audited: Readonly<Record<string, unknown>>[];
  readonly policy: Policy;
  issue(): Promise<number>;
  /** A branch `<agent>/<number>` with one commit, and its pull request; resolves with number and head. */
  pull(
    number: number,
    files?: Readonly<Record<string, string>>,
  ): Promise<{ pull: number; head: string }>;
  snapshot(number: number): Promise<Snapshot>;
  /** What an attempt works with; everything it does goes through `life`, also the looks it begins with. */
  attempt(job: Job, life?: Fuse, change?: (ports: Ports) => Ports): Promise<EffectContext>;
  /** Commits in the agent's clone. */
  work(
    context: EffectContext,
    files: Readonly<Record<string, string>>,
    message: string,
  ): Promise<string>;
  /** A commit of alice on a branch of the forge. */
  personPushes(branch: string, files: Readonly<Record<string, string>>): Promise<string>;
}

const QUIET: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

export async function effectsWorld(
  change: Partial<Policy["repository"]> = {},
): Promise<EffectsWorld> {
  const dir = await mkdtemp(join(tmpdir(), "ch-effects-"));
  const forge = await startForge({ dir: join(dir, "forge"), pushMs: 1, mergeCheckMs: 1 });
  const { tokens, api } = await setUpWidgets(forge, dir);
  const database = await openStoreWorld();
  database.clock.now = Date.now();
  const policy = policyWith({ review: "requested", ...change });
  const token = (name: string): string => tokens.get(name) ?? "";
  const client = createForge({
    url: forge.url,
    kind: "forgejo",
    agents: policy.agents.map(({ name, login }) => ({ name, login, token: () => token(login) })),
    readerAgent: "boss",
    requestsPerSecond: 10_000,
    now: Date.now,
    log: QUIET,
  });
  const state = join(dir, "state");
  await mkdir(state);
  const git = createGit({
    stateDir: state,
    remoteUrl: (repo) => `${forge.url}/${repo}.git`,
    credential: (name) => {
      const login = name ?? "boss";
      return `Authorization: Basic ${Buffer.from(`${login}:${token(login)}`).toString("base64")}`;
    },
    now: Date.now,
    log: QUIET,
  });
  const readSnapshot = createSnapshotReader({
    reader: client.reader,
    store: database.store,
    policy: () => policy,
  });
  const audited: Record<string, unknown>[] = [];
  const person = join(dir, "person");
  let runs = 0;
  const asAlice = async (...args: string[]): Promise<string> => {
    const basic = Buffer.from(`alice:${token("alice")}`).toString("base64");
    return await sh(person, ["-c", `http.extraHeader=Authorization: Basic ${basic}`, ...args]);
  };
  const remote = `${forge.url}/${REPO}.git`;
  const branchOff = async (
    branch: string,
    from: string,
    files: Readonly<Record<string, string>>,
  ) => {
    if (!(await Bun.file(join(person, ".git/HEAD")).exists())) {
      await mkdir(person, { recursive: true });
      await sh(person, ["init", "-q"]);
    }
    await asAlice("fetch", "-q", remote, from);
    await sh(person, ["checkout", "-q", "--detach", "FETCH_HEAD"]);
    const sha = await commit(person, files, `Change ${branch}`);
    await asAlice("push", "-q", remote, `HEAD:refs/heads/${branch}`);
    await forge.idle();
    return sha;
  };
  const world: EffectsWorld = {
    forge,
    client,
    database,
    git,
    api,
    audited,
    policy,
    issue: async () => {
      const made = await api("alice", "POST", `/repos/${REPO}/issues`, {
        title: "A thing to do",
        body: "Please.",
        assignees: ["boss"],
      });
      return (made as { number: number }).number;
    },
    pull: async (number, files = { [`note-${number}.md`]: "note\n" }) => {
      const head = await branchOff(`boss/${number}`, "main", files);
      const made = await api("boss", "POST", `/repos/${REPO}/pulls`, {
        head: `boss/${number}`,
        base: "main",
        title: "The thing",
        body: "Done.",
      });
      await forge.idle();
      return { pull: (made as { number: number }).number, head };
    },
    snapshot: async (number) => await readSnapshot({ repo: REPO, number }),
    attempt: async (job, life = fuse(Number.POSITIVE_INFINITY), change = (same) => same) => {
      runs += 1;
      const run = `run-${runs}`;
      const { order, number } = job;
      const item = { repo: REPO, number };
      await startRun(database, job, run);
      const branch = `boss/${number}`;
      const agent = policy.agents.find(({ name }) => name === order.agent);
      if (agent === undefined) throw new Error(`no agent ${order.agent}`);
      const workspace: Workspace = job.hasClone
        ? await git.prepare({
            item,
            agent: order.agent,
            base: "main",
            branch,
            at: null,
            identity: { name: "boss", email: "boss@example.org" },
            run,
          })
        : { path: "", headSha: "", baseSha: "", remoteSha: null, fresh: true, kept: null };
      const snapshot = await world.snapshot(number);
      const { store } = database;
      const ports: Ports = change({
        reader: mortal(client.reader, life),
        actor: mortal(client.actor(order.agent), life),
        git: mortal(git, life),
        effects: mortal(store.effects, life),
        runs: mortal(store.runs, life),
        pulls: mortal(store.pulls, life),
        look: async () => {
          life.step();
          return await world.snapshot(number);
        },
      });
      const place = { item, order, agent, snapshot, branch, log: QUIET };
      // As every run begins: what an attempt that died has left open is looked up first.
      await settleIntents({ ...place, ...ports });
      const ledger = await store.ledger.read(item);
      const before = ledger.runs.findLast(
        ({ fingerprint, pushedSha }) => fingerprint === order.fingerprint && pushedSha !== null,
      );
      return {
        ...place,
        ...ports,
        run,
        policy,
        workspace,
        tainted: false,
        now: Date.now,
        audit: { append: (kind, fields) => void audited.push({ kind, ...fields }) },
        signal: new AbortController().signal,
        pushed: { sha: before?.pushedSha ?? null, remote: workspace.remoteSha, onto: null },
        waits: { park: null },
        secrets: createSecretScan([SECRET]),
        oneMerge: async (_base, merge) => await merge(),
      };
    },
    work: async ({ workspace }, files, message) => await commit(workspace.path, files, message),
    personPushes: async (branch, files) => {
      const exists = await git.remoteHead(REPO, branch);
      return await branchOff(branch, exists === null ? "main" : branch, files);
    },
    [Symbol.asyncDispose]: async () => {
      await database[Symbol.asyncDispose]();
      await forge.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
  await pushFiles({
    forgeUrl: forge.url,
    token: token("alice"),
    dir,
    files: { "docs/a.md": "a\n" },
  });
  return world;
}

/** A row of the run as the service writes it; an attempt that died leaves its row without an end. */
async function startRun({ store, clock }: StoreWorld, job: Job, id: string): Promise<void> {
  const { number, order } = job;
  clock.now = Date.now();
  await markItem(store, number);
  for (let isOrdered = false; !isOrdered; ) {
    const claim = await claimReconcile(store);
    isOrdered = claim.item.number === number;
    await store.work.settleReconcile(
      claim,
      isOrdered ? aResult({ decision: "run", state: "waiting", order }) : aResult(),
    );
  }
  const claim = await claimRun(store);
  const session = aSession(order.agent, number);
  const attempt = await store.runs.start(claim, aStart(id, claim, { session }));
  if (attempt === null) throw new Error("the run could not be started");
  await store.work.settleRun(claim, { notBefore: null, park: null });
}
