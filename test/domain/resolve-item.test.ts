import { expect, test } from "bun:test";
import { itemOfPull, parseAgentBranch } from "../../src/domain/resolve-item.ts";
import { policyWith } from "../support/world.ts";

test.each([
  ["boss's own branch", "boss/42", true, "boss", false, 42],
  ["boss's branch opened by a person, pushed by us", "boss/42", true, "alice", true, 42],
  ["a branch of that name a person made", "boss/42", true, "alice", false, 43],
  ["a fork's branch of that name", "boss/42", false, "boss", false, 43],
  ["a person's branch", "fix-it", true, "alice", false, 43],
  ["the branch of no agent of ours", "ghost/42", true, "ghost", false, 43],
  ["another agent's branch", "boss/42", true, "reviewer", false, 43],
  ["a login in another case", "boss/42", true, "BOSS", false, 42],
])("the work item of %s", (_, headBranch, sameRepo, login, pushed, number) => {
  const item = itemOfPull(
    { number: 43, headBranch, sameRepo, author: { login } },
    policyWith(),
    () => pushed,
  );

  expect(item).toBe(number);
});

test.each([
  "boss/",
  "boss/0",
  "boss/042",
  "boss/1/2",
  "/1",
  "Boss/1",
  "boss/-1",
  "boss/1 ",
  "boss/99999999999",
])("%p is no agent's branch", (branch) => {
  expect(parseAgentBranch(branch)).toBeNull();
});
