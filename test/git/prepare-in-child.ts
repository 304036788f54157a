import { createGit } from "../../src/git/create-git.ts";
import { IDENTITY, ITEM, recordingLog } from "./workbench.ts";

/** Run as a process by kill.test.ts: prepares one clone and says so. */
const [, , stateDir = "", origin = "", searchPath = ""] = process.argv;
const git = createGit({
  stateDir,
  remoteUrl: () => origin,
  credential: () => null,
  searchPath,
  now: Date.now,
  log: recordingLog([]),
});
const order = { item: ITEM, agent: "boss", base: "main", branch: "boss/42", at: null };
console.log("preparing");
await git.prepare({ ...order, identity: IDENTITY, run: "r1" });
console.log("prepared");
