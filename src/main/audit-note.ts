import { join } from "node:path";
import { formatHead, parseHead } from "../observe/audit-chain.ts";
import type { HeadNote } from "../observe/note-head.ts";
import { type AuditReport, verifyAudit } from "../observe/verify-audit.ts";
import type { MetaStore } from "../ports/store/meta.ts";
import { readMeta } from "../store/read-meta.ts";

const AUDIT_FILE = "audit.jsonl";
const DATABASE_FILE = "claude-hooks.db";
const META_KEY = "audit";

/** Path of the audit in a state directory. */
export function auditFile(stateDir: string): string {
  return join(stateDir, AUDIT_FILE);
}

/** The head of the audit's chain, noted in the database. */
export function auditNote(meta: MetaStore): HeadNote {
  return {
    read: async () => parseHead(await meta.get(META_KEY)),
    write: async (head) => await meta.set(META_KEY, formatHead(head)),
  };
}

/**
 * Checks the audit of a state directory against the database there, whether a service runs or not,
 * and writes neither. Without a database nothing is known of the audit's end. Throws StoreFailure
 * `open` for one that cannot be read, and what the file system says.
 */
export async function checkAudit(stateDir: string): Promise<AuditReport> {
  // First the database: what it knows of was on the disk before, so the files are never behind it.
  const noted = parseHead(readMeta(join(stateDir, DATABASE_FILE), META_KEY));
  return await verifyAudit(auditFile(stateDir), noted);
}
