import { describe, expect, test } from "bun:test";
import { z } from "zod";
import { intakeWorld } from "../support/intake-world.ts";

const FIXTURES = new URL("../fixtures/", import.meta.url).pathname;

/** What each constructed delivery must leave: the mark, or the reason why none. Both forges. */
const EXPECTED: Readonly<Record<string, string>> = {
  "issues-opened": "number 42",
  "issues-opened.with-assignee": "number 42",
  "issues-assigned": "number 42",
  "issues-assigned.second": "number 42",
  "issues-assigned.authorization": "number 42",
  "issues-unassigned": "number 42",
  "issues-label_updated": "number 42",
  "issues-label_cleared": "number 42",
  "issues-edited": "number 42",
  "issues-closed.by-merge": "number 42",
  "issues-closed": "number 42",
  "issues-reopened": "number 42",
  "issues-deleted": "number 42",
  "issue_comment-created": "number 42",
  "issue_comment-created.by-agent": "own echo",
  "issue_comment-edited": "number 42",
  "issue_comment-created.pull": "number 43",
  "pull_request-opened": "number 43",
  "pull_request-opened.draft": "number 43",
  "pull_request-edited.ready": "own echo",
  "pull_request-edited.base": "number 43",
  "pull_request-review_requested": "number 43",
  "pull_request-review_request_removed": "number 43",
  "pull_request-synchronized": "number 43",
  "pull_request-label_updated": "number 43",
  "pull_request-assigned": "number 43",
  "pull_request_approved-reviewed": "number 43",
  "pull_request_rejected-reviewed": "number 43",
  "pull_request_comment-reviewed": "number 43",
  "pull_request-closed.merged": "number 43",
  "pull_request-closed": "number 43",
  "pull_request-closed.branch-deleted": "number 43",
  "pull_request-reopened": "number 43",
  push: "branch boss/42",
  "push.new-branch": "branch boss/42",
  "push.test-delivery": "branch main",
  "create-branch": "branch boss/42",
  "create-branch.gitea-type-hook": "branch boss/42",
  "delete-branch": "branch boss/42",
  "repository-deleted": "event does not concern us",
  "action_run_success-success": "sha c47a0e3b5d924f18a6b7c0d1e2f3948576a1b2c3",
  "action_run_failure-failure": "sha 9b2e6d14c7f84a0fb3d5e8a1720c69f4d8b3a512",
  "action_run_recover-recover": "sha c47a0e3b5d924f18a6b7c0d1e2f3948576a1b2c3",
  "status-pending": "sha c47a0e3b5d924f18a6b7c0d1e2f3948576a1b2c3",
  "status-success": "sha c47a0e3b5d924f18a6b7c0d1e2f3948576a1b2c3",
  "status-failure": "sha c47a0e3b5d924f18a6b7c0d1e2f3948576a1b2c3",
  "workflow_run-completed": "sha c47a0e3b5d924f18a6b7c0d1e2f3948576a1b2c3",
};

const manifest = z
  .array(z.object({ file: z.string(), eventType: z.string().optional() }))
  .parse(await Bun.file(`${FIXTURES}MANIFEST.json`).json());
const json = manifest.filter((entry) => entry.file.endsWith(".json"));

async function read(file: string) {
  const headers = await Bun.file(
    FIXTURES + file.replace(/\.(?:json|form)$/, ".headers.json"),
  ).json();
  // What the client itself says of the connection and the body.
  for (const name of ["Host", "Content-Length", "Accept-Encoding"]) {
    delete headers[name];
  }
  return {
    headers: headers as Record<string, string>,
    body: await Bun.file(FIXTURES + file).bytes(),
  };
}

async function send(url: string, file: string): Promise<Response> {
  const { headers, body } = await read(file);
  return await fetch(`${url}/webhook`, { method: "POST", headers, body });
}

for (const forge of ["forgejo", "gitea"] as const) {
  const files = json.filter((entry) => entry.file.startsWith(`${forge}/`));

  describe(`every delivery of ${forge}`, () => {
    test.each(files)("$file leaves what it should", async ({ file, eventType }) => {
      await using world = await intakeWorld({ kind: forge });
      const expected = EXPECTED[file.replace(`${forge}/`, "").replace(".json", "")];

      const response = await send(world.listener.url, file);
      const body = await response.json();

      expect(world.recorded).toHaveLength(1);
      const [kept] = world.recorded;
      const marked = kept?.marks.map(({ repo, target }) => ({
        repo,
        said: `${target.kind} ${Object.values(target)[1]}`,
      }));
      if (kept?.delivery.status === "accepted") {
        expect(response.status).toBe(202);
        expect(body).toEqual({ delivery: kept.delivery.id, status: "accepted" });
        expect(marked).toEqual([{ repo: "acme/widgets", said: String(expected) }]);
      } else {
        expect(response.status).toBe(200);
        expect(body).toEqual({ status: "ignored", reason: expected });
        expect(marked).toEqual([]);
      }
      expect(kept?.delivery.event).toBe(String(eventType));
      expect(world.counted).toEqual([String(kept?.delivery.status)]);
    });

    test(`there are at least 40 of ${forge}, each with an expectation`, () => {
      const names = files.map((entry) => entry.file.split("/")[1]?.replace(".json", ""));

      expect(names.length).toBeGreaterThanOrEqual(40);
      expect(names.filter((name) => EXPECTED[name ?? ""] === undefined)).toEqual([]);
    });
  });
}

test("a form delivery of Forgejo is refused with 415", async () => {
  await using world = await intakeWorld();

  const response = await send(world.listener.url, "forgejo/push.form.form");

  expect(response.status).toBe(415);
  expect(world.recorded).toEqual([]);
});

test.each(json.filter((entry) => entry.file.startsWith("github/")))(
  "$file has no signature of Forgejo and is refused with 401",
  async ({ file }) => {
    await using world = await intakeWorld();

    const response = await send(world.listener.url, file);

    expect(response.status).toBe(401);
    expect(world.recorded).toEqual([]);
  },
);

test("a Gitea delivery at a Forgejo intake is refused with 401, whatever its aliases say", async () => {
  await using world = await intakeWorld({ kind: "forgejo" });

  expect((await send(world.listener.url, "gitea/issues-opened.json")).status).toBe(401);
});
