import { createHmac } from "node:crypto";
import { secretEquals } from "./secret-equals.ts";

/** Name of the cookie a browser gets for the admin token. */
export const SESSION_COOKIE = "claude_hooks";

/** How long a browser stays logged in, seconds. */
export const SESSION_SECONDS = 12 * 60 * 60;

/**
 * The cookie's value: its end (epoch ms) and a MAC under the admin token. So it needs no store,
 * outlives a restart, and every cookie dies with the token.
 */
export function makeSession(token: string, now: number): string {
  const end = now + SESSION_SECONDS * 1000;
  return `${end}.${sign(token, end)}`;
}

/** Whether a cookie's value was made with this token and has not ended. */
export function isSession(value: string, token: string, now: number): boolean {
  const match = /^(\d{1,16})\.([0-9a-f]{64})$/.exec(value);
  if (match?.[1] === undefined || match[2] === undefined || token === "") {
    return false;
  }
  const end = Number(match[1]);
  return secretEquals(match[2], sign(token, end)) && now < end;
}

function sign(token: string, end: number): string {
  return createHmac("sha256", token).update(`claude_hooks session ${end}`).digest("hex");
}
