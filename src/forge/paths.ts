import { ForgeFailure } from "../ports/forge.ts";

const NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}\/[A-Za-z0-9_.-]{1,100}$/;

/** `/repos/<owner>/<name>` of a checked name, then the given parts, each encoded. @throws ForgeFailure */
export function repoPath(repo: string, ...parts: readonly (string | number)[]): string {
  const [owner = "", name = ""] = repo.split("/");
  if (!NAME.test(repo) || /^\.+$/.test(name))
    throw new ForgeFailure(
      "refused",
      `repository ${JSON.stringify(repo.slice(0, 120))} is not of the form owner/name`,
    );
  const rest = parts.map((part) => `/${encodeURIComponent(part)}`);
  return `/repos/${encodeURIComponent(owner)}/${encodeURIComponent(name)}${rest.join("")}`;
}

/** `<url>/api/v1` of the configured address. @throws Error for one that is not http(s) or carries credentials. */
export function apiOf(text: string): string {
  const url = new URL(text);
  if (url.protocol !== "http:" && url.protocol !== "https:")
    throw new Error(`forge.url must begin with http:// or https://, not ${url.protocol}`);
  if (url.username !== "" || url.password !== "")
    throw new Error("forge.url must not carry credentials");
  return `${url.origin}${url.pathname.replace(/\/+$/, "")}/api/v1`;
}
