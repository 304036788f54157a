import { createHmac } from "node:crypto";
import type { ContractCase } from "../contract-case.ts";
import { eventually } from "../eventually.ts";
import { at, list } from "../forge-client.ts";
import { openHookListener } from "../hook-listener.ts";
import type { World } from "../world.ts";

/** Hooks and how a webhook is delivered and signed. */
export const webhookCases: ContractCase[] = [
  {
    name: "a webhook carries the headers of all families, with one delivery id",
    restsOn: "Forgejo services/webhook/shared/payloader.go AddDefaultHeaders",
    run: async (world, check) => {
      const number = await world.newIssue();
      const event = await world.event({ type: "issues", action: "opened", number });
      const headers = event?.headers ?? {};

      for (const family of ["forgejo", "gitea", "gogs", "github"]) {
        check.same(`${family} event`, "issues", headers[`x-${family}-event`]);
        check.same(`${family} event type`, "issues", headers[`x-${family}-event-type`]);
        check.same(
          `${family} delivery`,
          headers["x-forgejo-delivery"],
          headers[`x-${family}-delivery`],
        );
      }
      check.that(
        "delivery is a UUID",
        /^[0-9a-f-]{36}$/.test(headers["x-forgejo-delivery"] ?? ""),
        headers["x-forgejo-delivery"],
      );
      check.same("content type", "application/json", headers["content-type"]);
    },
  },
  {
    name: "the signature is the lower hex HMAC-SHA256 of the raw bytes",
    restsOn: "Forgejo services/webhook/shared/payloader.go",
    run: async (world, check) => {
      const number = await world.newIssue({ body: "<b>&\u2028 ü" });
      const event = await world.event({ type: "issues", action: "opened", number });
      const raw = event?.raw ?? Buffer.alloc(0);
      const sha256 = createHmac("sha256", world.secret).update(raw).digest("hex");
      const sha1 = createHmac("sha1", world.secret).update(raw).digest("hex");

      for (const family of ["forgejo", "gitea", "gogs"])
        check.same(family, sha256, event?.headers[`x-${family}-signature`]);
      check.same("hub 256", `sha256=${sha256}`, event?.headers["x-hub-signature-256"]);
      check.same("hub", `sha1=${sha1}`, event?.headers["x-hub-signature"]);
    },
  },
  {
    name: "the body is JSON with two spaces, <>& escaped and no final newline",
    restsOn: "Forgejo services/webhook: json.MarshalIndent",
    run: async (world, check) => {
      const number = await world.newIssue({ body: "a <b> & c" });
      const event = await world.event({ type: "issues", action: "opened", number });
      const text = event?.raw.toString("utf8") ?? "";

      check.that("indented", text.startsWith('{\n  "action": "opened"'), text.slice(0, 40));
      check.that("escaped", text.includes("a \\u003cb\\u003e \\u0026 c"), text.slice(0, 40));
      check.same("last byte", "}", text.at(-1));
      check.same("value", "a <b> & c", at(event?.body, "issue.body"));
    },
  },
  {
    name: "a comment on a pull request has the event issue_comment and the type pull_request_comment",
    restsOn: "Forgejo modules/webhook/type.go Event",
    run: async (world, check) => {
      const { number } = await world.newPull();
      await world.inRepo("lead", "POST", `/issues/${number}/comments`, { body: "hi" });
      const event = await world.event({ type: "pull_request_comment", number });

      check.same("event", "issue_comment", event?.headers["x-forgejo-event"]);
      check.same("is_pull", true, at(event?.body, "is_pull"));
      check.same("pull_request", number, at(event?.body, "pull_request.number"));
      check.same("comment", "hi", at(event?.body, "comment.body"));
      check.same("sender", world.people.lead.login, at(event?.body, "sender.login"));
    },
  },
  {
    name: "a hook made by API is inactive, sends nothing, and listens to push only",
    restsOn: "Forgejo routers/api/v1/utils/hook.go addHook",
    run: async (world, check) => {
      const listener = openHookListener();
      const config = { url: listener.url, content_type: "json", secret: "12345678" };
      const made = await world.inRepo("owner", "POST", "/hooks", { type: "forgejo", config });
      const branch = world.unique("quiet");
      await world.push("boss", { branch });
      const toOthers = await world.event({ type: "push", ref: `refs/heads/${branch}` });
      await world.inRepo("owner", "DELETE", `/hooks/${at(made.body, "id")}`);
      await listener.stop();

      check.same("status", 201, made.status);
      check.same("active", false, at(made.body, "active"));
      check.same("events", ["push"], at(made.body, "events"));
      check.same("secret is not shown", undefined, at(made.body, "config.secret"));
      check.same("an active hook heard of the push", "push", toOthers?.eventType);
      check.same("this one did not", 0, listener.events.length);
    },
  },
  {
    name: "a hook of an unknown type is refused, and only administrators of the repository see hooks",
    restsOn: "Forgejo routers/api/v1/utils/hook.go, routers/api/v1/api.go reqAdmin",
    run: async (world, check) => {
      const config = { url: world.listener.url, content_type: "json" };
      const bad = await world.inRepo("owner", "POST", "/hooks", { type: "pigeon", config });
      const writer = await world.inRepo("boss", "GET", "/hooks");
      const owner = await world.inRepo("owner", "GET", "/hooks");

      check.same("unknown type", 422, bad.status);
      check.same("writer", 403, writer.status);
      check.that(
        "owner",
        list(owner.body).some((one) => at(one, "config.url") === world.listener.url),
        owner.text,
      );
    },
  },
  {
    name: "names in events are switches: unknown ones are ignored, reviews come as one",
    restsOn: "Forgejo routers/api/v1/utils/hook.go",
    run: async (world, check) => {
      const types = await eventTypes(world, ["issues_only", "pull_request_review", "nonsense"]);
      const all = await eventTypes(world, ["pull_request"]);

      check.same(
        "narrow",
        [
          "issues",
          "pull_request_review_approved",
          "pull_request_review_comment",
          "pull_request_review_rejected",
        ],
        types,
      );
      check.that(
        "pull_request is all of them",
        all.includes("pull_request_sync") && all.includes("pull_request_comment"),
        all,
      );
    },
  },
  {
    name: "testing a hook sends a push whose before is its after",
    restsOn: "Forgejo routers/api/v1/repo/hook.go TestHook",
    run: async (world, check) => {
      const listener = openHookListener();
      const config = { url: listener.url, content_type: "json", secret: "12345678" };
      const form = { type: "forgejo", config, active: true, events: ["push"] };
      const made = await world.inRepo("owner", "POST", "/hooks", form);
      const tested = await world.inRepo("owner", "POST", `/hooks/${at(made.body, "id")}/tests`);
      // The push of an earlier case may still be under way and reach this hook, too.
      const event = await eventually(() =>
        Promise.resolve(
          listener.events.find(({ body }) => at(body, "before") === at(body, "after")),
        ),
      );
      await world.inRepo("owner", "DELETE", `/hooks/${at(made.body, "id")}`);
      await listener.stop();

      check.same("status", 204, tested.status);
      check.same("type", "push", event?.eventType);
      check.same("before is after", at(event?.body, "before"), at(event?.body, "after"));
    },
  },
  {
    name: "a hook of the owner hears of his repositories, in addition and with its own delivery id",
    restsOn: "Forgejo services/webhook/webhook.go PrepareWebhooks",
    run: async (world, check) => {
      const listener = openHookListener();
      const config = { url: listener.url, content_type: "json", secret: "12345678" };
      const form = { type: "forgejo", config, active: true, events: ["issues_only"] };
      const made = await world.as("owner", "POST", "/user/hooks", form);
      const number = await world.newIssue();
      const wider = await eventually(() =>
        Promise.resolve(listener.events.find((one) => one.number === number)),
      );
      const own = await world.event({ type: "issues", action: "opened", number });
      await world.as("owner", "DELETE", `/user/hooks/${at(made.body, "id")}`);
      await listener.stop();
      const id = "x-forgejo-delivery";

      check.same("status", 201, made.status);
      check.same("heard", "opened", wider?.action);
      check.that("two ids", own?.headers[id] !== wider?.headers[id], [own?.headers[id]]);
    },
  },
  {
    name: "the hooks of an organisation are listed for its owners only",
    restsOn: "Forgejo routers/api/v1/org/hook.go ListHooks, reqOrgOwnership",
    run: async (world, check) => {
      const org = world.unique("guild");
      await world.as("owner", "POST", "/orgs", { username: org });
      const config = { url: world.listener.url, content_type: "json" };
      const form = { type: "forgejo", config, events: ["issues_only"] };
      await world.as("owner", "POST", `/orgs/${org}/hooks`, form);
      const owner = await world.as("owner", "GET", `/orgs/${org}/hooks`);
      const other = await world.as("boss", "GET", `/orgs/${org}/hooks`);
      await world.as("owner", "DELETE", `/orgs/${org}`);

      check.same("owner", 200, owner.status);
      check.same(
        "events",
        [["issues"]],
        list(owner.body).map((one) => at(one, "events")),
      );
      check.same("another", 403, other.status);
    },
  },
];

async function eventTypes(world: World, events: string[]): Promise<string[]> {
  const config = { url: world.listener.url, content_type: "json" };
  const made = await world.inRepo("owner", "POST", "/hooks", { type: "forgejo", config, events });
  await world.inRepo("owner", "DELETE", `/hooks/${at(made.body, "id")}`);
  return list(at(made.body, "events")).map(String).toSorted();
}
