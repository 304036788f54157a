import { ForgeFailure } from "../../ports/forge.ts";

/** What the forge answered, or why it did not. */
export type Tried<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly failure: ForgeFailure; readonly words: string };

/** A question to the forge whose failure is an answer, too. Throws only what is no ForgeFailure. */
export async function tried<T>(question: () => Promise<T>): Promise<Tried<T>> {
  try {
    return { ok: true, value: await question() };
  } catch (error) {
    if (!(error instanceof ForgeFailure)) throw error;
    return { ok: false, failure: error, words: wordsOf(error) };
  }
}

/** The message alone does not say why nobody answered: a name, a port or a certificate. */
function wordsOf({ message, cause }: ForgeFailure): string {
  const code = cause instanceof Error && "code" in cause ? `, ${String(cause.code)}` : "";
  return `${message}${code}`;
}
