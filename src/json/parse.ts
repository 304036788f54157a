/** A text that should be JSON and is not; `position` words come from the parser. */
export class JsonFailure extends Error {
  override readonly name = "JsonFailure";
}

/**
 * The one door through which JSON text becomes a value: always `unknown`, so that a schema must
 * look at it before anybody uses it. Throws JsonFailure.
 */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new JsonFailure(error instanceof Error ? error.message : String(error), { cause: error });
  }
}
