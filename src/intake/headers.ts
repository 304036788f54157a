/** A forge whose deliveries are understood. */
export type ForgeFamily = "forgejo" | "gitea";

/** The one family of headers that is read; what a forge sends beside it for others is not looked at. */
export interface FamilyHeaders {
  readonly event: string;
  readonly delivery: string;
  readonly signature: string;
}

/**
 * Names of the headers of a forge. Forgejo sends its own, Gitea's, Gogs' and GitHub's all at once
 * (services/webhook/shared/payloader.go), so reading more than one family would let an alias decide.
 * `Event-Type`, not `Event`: the latter says `pull_request_comment` for a review without a verdict.
 */
export function familyHeaders(kind: ForgeFamily): FamilyHeaders {
  const prefix = kind === "forgejo" ? "X-Forgejo-" : "X-Gitea-";
  return {
    event: `${prefix}Event-Type`,
    delivery: `${prefix}Delivery`,
    signature: `${prefix}Signature`,
  };
}

/**
 * True for `application/json`, with at most `charset=utf-8`. Form deliveries are signed over the
 * JSON inside the form, and `text/plain` can be sent by any web page, so nothing else is taken.
 */
export function isPlainJson(headers: Headers): boolean {
  if (headers.has("content-encoding")) {
    return false;
  }
  return /^application\/json(?:[ \t]*;[ \t]*charset=(?:utf-8|"utf-8"))?$/i.test(
    headers.get("content-type") ?? "",
  );
}

/** What the headers say about a delivery; `wrong` names the header and what it must look like. */
export type HeaderReading =
  | { readonly ok: true; readonly event: string; readonly id: string }
  | { readonly ok: false; readonly wrong: string };

/** Reads event type and delivery id. A header sent twice arrives joined by ", " and does not match. */
export function readHeaders(headers: Headers, names: FamilyHeaders): HeaderReading {
  const event = headers.get(names.event) ?? "";
  if (!/^[a-z_]{1,64}$/.test(event)) {
    return {
      ok: false,
      wrong: `${names.event}: must be given once, 1 to 64 of a-z and _`,
    };
  }
  const id = headers.get(names.delivery) ?? "";
  if (!/^[0-9a-f-]{8,64}$/i.test(id)) {
    return {
      ok: false,
      wrong: `${names.delivery}: must be given once, 8 to 64 of 0-9, a-f and -`,
    };
  }
  return { ok: true, event, id };
}
