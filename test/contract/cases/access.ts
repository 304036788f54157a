import type { ContractCase } from "../contract-case.ts";
import { at, list } from "../forge-client.ts";

/** Who may call at all, and how refusals look. */
export const accessCases: ContractCase[] = [
  {
    name: "the version needs no token and names Forgejo",
    restsOn: "Forgejo routers/api/v1/misc/version.go",
    run: async (world, check) => {
      const answer = await world.call({ kind: "none" }, "GET", "/version");

      check.same("status", 200, answer.status);
      check.that(
        "version says +gitea-",
        String(at(answer.body, "version")).includes("+gitea-"),
        answer.text,
      );
    },
  },
  {
    name: "a wrong token is refused with 401 and a message",
    restsOn: "Forgejo services/auth; error form {message, url}",
    run: async (world, check) => {
      const token = "0".repeat(40);
      const answer = await world.call({ kind: "token", token }, "GET", world.repo);

      check.same("status", 401, answer.status);
      check.same("message is text", "string", typeof at(answer.body, "message"));
    },
  },
  {
    name: "a token is taken as token, as bearer and as the password or name of Basic",
    restsOn: "Forgejo services/auth/method",
    run: async (world, check) => {
      const { token } = world.people.boss;

      for (const credential of [
        { kind: "token", token },
        { kind: "bearer", token },
        { kind: "basic", user: "anybody", password: token },
        { kind: "basic", user: token, password: "x-oauth-basic" },
      ] as const) {
        const answer = await world.call(credential, "GET", world.repo);
        check.same(`status as ${credential.kind}`, 200, answer.status);
      }
    },
  },
  {
    name: "a call without a token that needs one is refused with 401",
    restsOn: "Forgejo routers/api/v1/api.go reqToken",
    run: async (world, check) => {
      const answer = await world.call({ kind: "none" }, "GET", "/user");

      check.same("status", 401, answer.status);
    },
  },
  {
    name: "a private repository is 404 for who may not read it",
    restsOn: "Forgejo routers/api/v1/api.go repoAssignment",
    run: async (world, check) => {
      const answer = await world.inRepo("outsider", "GET", "");

      check.same("status", 404, answer.status);
      check.same("message is text", "string", typeof at(answer.body, "message"));
    },
  },
  {
    name: "a repository shows its full name, default branch and the caller's permissions",
    restsOn: "Forgejo services/convert/repository.go",
    run: async (world, check) => {
      const boss = (await world.inRepo("boss", "GET", "")).body;
      const guest = (await world.inRepo("guest", "GET", "")).body;

      check.same("full_name", world.fullName, at(boss, "full_name"));
      check.same("default_branch", "main", at(boss, "default_branch"));
      check.same("clone_url ends", true, String(at(boss, "clone_url")).endsWith(".git"));
      check.same(
        "permissions of a writer",
        { admin: false, push: true, pull: true },
        at(boss, "permissions"),
      );
      check.same(
        "permissions of a reader",
        { admin: false, push: false, pull: true },
        at(guest, "permissions"),
      );
    },
  },
  {
    name: "assignees lists who has write access, with ids, to any reader",
    restsOn: "Forgejo models/repo/user_repo.go GetRepoAssignees",
    run: async (world, check) => {
      const answer = await world.inRepo("guest", "GET", "/assignees");
      const seen = list(answer.body);
      const logins = seen.map((one) => at(one, "login"));

      check.same("status", 200, answer.status);
      for (const role of ["owner", "boss", "reviewer", "lead"] as const)
        check.that(`has ${role}`, logins.includes(world.people[role].login), logins);
      check.same("has no reader", false, logins.includes(world.people.guest.login));
      const boss = seen.find((one) => at(one, "login") === world.people.boss.login);
      check.same("numeric id", world.people.boss.id, at(boss, "id"));
    },
  },
  {
    name: "the permission of another account is shown to administrators of the repository only",
    restsOn: "Forgejo routers/api/v1/repo/collaborators.go GetRepoPermissions",
    run: async (world, check) => {
      const path = `/collaborators/${world.people.boss.login}/permission`;
      const owner = await world.inRepo("owner", "GET", path);
      const self = await world.inRepo("boss", "GET", path);
      const other = await world.inRepo("reviewer", "GET", path);

      check.same("owner", [200, "write"], [owner.status, at(owner.body, "permission")]);
      check.same("self", 200, self.status);
      check.same("another writer", 403, other.status);
    },
  },
  {
    name: "a user object has login and username, an id and no type",
    restsOn: "Forgejo services/convert/user.go",
    run: async (world, check) => {
      const user = (await world.as("boss", "GET", "/user")).body;

      check.same("login", world.people.boss.login, at(user, "login"));
      check.same("username", world.people.boss.login, at(user, "username"));
      check.same("id", world.people.boss.id, at(user, "id"));
      check.same("no type", undefined, at(user, "type"));
    },
  },
  {
    name: "a body that is no JSON is refused as the client's fault",
    restsOn: "Forgejo modules/web binding",
    run: async (world, check) => {
      const response = await fetch(`${world.forge.url}/api/v1${world.repo}/issues`, {
        method: "POST",
        body: "{",
        headers: {
          Authorization: `token ${world.people.boss.token}`,
          "Content-Type": "application/json",
        },
      });
      await response.text();

      check.oneOf("status", [400, 422], response.status);
    },
  },
];
