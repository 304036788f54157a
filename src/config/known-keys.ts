import { z } from "zod";
import { ConfigDocument } from "./schema.ts";

/** What this file needs of a JSON schema. */
interface SchemaNode {
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly additionalProperties?: SchemaNode | boolean;
  readonly items?: SchemaNode;
  readonly anyOf?: readonly SchemaNode[];
}

/** JSON schema (draft 2020-12) of the configuration as it is written: editors can check with it. */
export function configJsonSchema(): Record<string, unknown> {
  const schema = z.toJSONSchema(ConfigDocument, { io: "input" });
  return { title: "claude-hooks.yaml", ...schema };
}

/**
 * The remedy for an unknown key: the nearest key of the same mapping, else the place where a key of
 * exactly this name belongs, else all keys of the mapping.
 */
export function unknownKeyRemedy(parent: readonly PropertyKey[], key: string): string {
  const root: SchemaNode = z.toJSONSchema(ConfigDocument, { io: "input" }) as SchemaNode;
  const known = keysAt(root, parent);
  const near = nearest(key, known);
  if (near !== null) {
    return `no such key; did you mean ${near}?`;
  }
  const elsewhere = placesOf(root, key, "")[0];
  if (elsewhere !== undefined) {
    return `no such key here; it belongs at ${elsewhere}`;
  }
  return `no such key; known here: ${known.join(", ")}`;
}

/** The word nearest to `word` by edits, or null when none is near (a third of its length, at least 2). */
export function nearest(word: string, known: readonly string[]): string | null {
  const cut = word.slice(0, 64);
  let best: { readonly name: string; readonly distance: number } | null = null;
  for (const name of known) {
    const distance = editDistance(cut.toLowerCase().replaceAll("-", "_"), name);
    if (best === null || distance < best.distance) {
      best = { name, distance };
    }
  }
  const limit = Math.max(2, Math.floor(cut.length / 3));
  return best !== null && best.distance <= limit && best.distance < best.name.length
    ? best.name
    : null;
}

function keysAt(root: SchemaNode, path: readonly PropertyKey[]): string[] {
  let nodes: SchemaNode[] = flatten(root);
  for (const part of path) {
    nodes = nodes.flatMap((node) => {
      const next = typeof part === "number" ? node.items : childOf(node, String(part));
      return next === undefined ? [] : flatten(next);
    });
  }
  return [...new Set(nodes.flatMap((node) => Object.keys(node.properties ?? {})))];
}

function childOf(node: SchemaNode, name: string): SchemaNode | undefined {
  const more =
    typeof node.additionalProperties === "object" ? node.additionalProperties : undefined;
  return node.properties?.[name] ?? more;
}

function flatten(node: SchemaNode): SchemaNode[] {
  return [node, ...(node.anyOf ?? []).flatMap(flatten)];
}

function placesOf(node: SchemaNode, key: string, prefix: string): string[] {
  const found: string[] = [];
  for (const part of flatten(node)) {
    for (const [name, child] of Object.entries(part.properties ?? {})) {
      const place = prefix === "" ? name : `${prefix}.${name}`;
      found.push(...(name === key ? [place] : []), ...placesOf(child, key, place));
    }
    if (part.items !== undefined) {
      found.push(...placesOf(part.items, key, `${prefix}[]`));
    }
    if (typeof part.additionalProperties === "object") {
      found.push(...placesOf(part.additionalProperties, key, `${prefix}.<name>`));
    }
  }
  return found;
}

/** Levenshtein distance: insertions, deletions and replacements of one character. */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= to.length; j += 1) {
      const replaced = (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1);
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, replaced));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}
