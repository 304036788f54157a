import { createHmac, randomUUID } from "node:crypto";
import { SECRET } from "../intake/payload.ts";

/**
 * Makes requests that deliver the assignment of an issue, each with an id of its own; signed as Forgejo
 * signs and as GitHub does, because adnanh/webhook understands the latter.
 */
export async function createAssignments(): Promise<(number: number) => RequestInit> {
  const fixture = new URL("../../test/fixtures/forgejo/issues-assigned.json", import.meta.url);
  const payload: { readonly issue: object } = await Bun.file(fixture).json();
  return (number) => {
    const body = JSON.stringify({ ...payload, number, issue: { ...payload.issue, number } });
    const signature = createHmac("sha256", SECRET).update(body).digest("hex");
    const headers = {
      "content-type": "application/json",
      "x-forgejo-event-type": "issue_assign",
      "x-forgejo-delivery": randomUUID(),
      "x-forgejo-signature": signature,
      "x-hub-signature-256": `sha256=${signature}`,
    };
    return { method: "POST", body, headers };
  };
}
