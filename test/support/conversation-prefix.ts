import { expect } from "bun:test";
import type { RecordedRequest } from "../../demo/model/endpoint.ts";

/** Expects that `later` begins with exactly the conversation of `earlier`: then its cached prefix is read, not written again. */
export function expectPrefix(
  later: RecordedRequest | undefined,
  earlier: RecordedRequest | undefined,
): void {
  if (later === undefined || earlier === undefined) throw new Error("there is no such request");
  const before = messagesOf(earlier);
  expect(before.length).toBeGreaterThan(1);
  expect(messagesOf(later).slice(0, before.length)).toEqual(before);
  expect(messagesOf(later).length).toBeGreaterThan(before.length);
  expect(plain(later.body.system)).toEqual(plain(earlier.body.system));
}

/** The messages without the marks that say where the cache ends; a lone text has two spellings. */
function messagesOf(request: RecordedRequest): { role: string; content: unknown }[] {
  return request.body.messages.map(({ role, content }) => ({
    role,
    content: typeof content === "string" ? [{ type: "text", text: content }] : plain(content),
  }));
}

function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, part]) =>
      name === "cache_control" ? [] : [[name, plain(part)]],
    ),
  );
}
