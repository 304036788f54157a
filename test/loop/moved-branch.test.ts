import { expect, test } from "bun:test";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { use } from "../../demo/model/conversation.ts";
import { REPO } from "../../demo/scenario/widgets.ts";
import { commit, sh } from "../git/workbench.ts";
import { forgeTool, IMPLEMENTING } from "../support/model-steps.ts";
import { type ServiceWorld, serviceWorld } from "../support/service-world.ts";

const BRANCH = "boss/1";
const OPEN = forgeTool("open_pull_request", { title: "A note", body: "It is there now." });
const REBASE = use("Bash", { command: `git rebase -q origin/${BRANCH}` });

/** A commit of alice on the agent's branch, from where that stands (or main); resolves with its sha. */
async function alicePushes(world: ServiceWorld, text: string): Promise<string> {
  const { forge, tokens } = world.world;
  const clone = join(world.dir, "alice-on-branch");
  const remote = `${forge.url}/${REPO}.git`;
  const basic = Buffer.from(`alice:${tokens.get("alice") ?? ""}`).toString("base64");
  const asAlice = async (...args: string[]): Promise<string> =>
    await sh(clone, ["-c", `http.extraHeader=Authorization: Basic ${basic}`, ...args]);
  if (!(await Bun.file(join(clone, ".git/HEAD")).exists())) {
    await mkdir(clone, { recursive: true });
    await sh(clone, ["init", "-q"]);
  }
  const heads = await asAlice("ls-remote", remote, `refs/heads/${BRANCH}`);
  await asAlice("fetch", "-q", remote, heads === "" ? "main" : BRANCH);
  await sh(clone, ["checkout", "-q", "--detach", "FETCH_HEAD"]);
  const sha = await commit(clone, { "theirs.md": text }, "A word of mine");
  await asAlice("push", "-q", remote, `HEAD:refs/heads/${BRANCH}`);
  return sha;
}

test("a person who pushes to the agent's branch twice stops the run with a wait, and a comment lets it go on from there", async () => {
  await using world = await serviceWorld({ repository: { review: "requested" } });
  const [work] = IMPLEMENTING;
  if (work === undefined) throw new Error("no work");
  const heard: string[] = [];
  let last = "";
  world.script(async ({ calls }) => {
    if (calls.length === 0) return work;
    if (calls.length === 1) await alicePushes(world, "one\n");
    if (calls.length === 2) return REBASE;
    if (calls.length === 3) last = await alicePushes(world, "two\n");
    return calls.length === 4 ? { text: "I end my turn." } : OPEN;
  });
  await world.issue();
  const ended = await world.line({ msg: "run ended", outcome: "parked" });
  expect(String(ended["reason"])).toStartWith("branch moved: Ada pushes to boss/1");
  const parked = await world.settled(1);
  expect(parked).toMatchObject({ state: "parked" });
  expect(parked.reason).toContain("branch moved");
  expect(await world.pulls()).toEqual([]);
  for (const { raw } of world.requests()) heard.push(raw);
  expect(heard.join("\n")).toContain(`Rebase onto origin/${BRANCH}`);
  expect(heard.join("\n")).toContain("once more");
  // It is said where people look, with the way to go on.
  const said = await world.comments(1);
  expect(said.map(({ body }) => body).join("\n")).toContain("a comment here lets it go on");

  world.script(({ calls }) =>
    calls.length === 0 ? work : calls.length === 1 ? OPEN : { text: "Done." },
  );
  await world.comment("alice", 1, "Go on, I am done.");
  await world.line({ msg: "run ended", outcome: "succeeded" });
  const [pull] = await world.pulls();
  expect(pull).toMatchObject({ state: "open" });
  const files = (await world.api(
    "alice",
    "GET",
    `/repos/${REPO}/pulls/${pull?.number}/files`,
  )) as readonly {
    readonly filename: string;
  }[];
  expect(files.map(({ filename }) => filename).sort()).toEqual(["note.md", "theirs.md"]);
  expect(last).not.toBe("");
}, 120_000);
