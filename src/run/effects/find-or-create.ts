import type { ToolAnswer, ToolName } from "../../domain/tools.ts";
import type { EffectContext } from "./context.ts";
import { effectKey } from "./effect-key.ts";

/** What was found or made: the forge's id or number of it, and the line the model reads. */
export interface Made {
  readonly ref: number | null;
  readonly text: string;
}

/** An effect that could not be made for a reason the model can act on. */
export interface Refused {
  readonly refused: string;
}

/** The intent that is about to be carried out. */
export interface Intent {
  readonly key: string;
  /** When it was first recorded, epoch ms by our clock: an effect of it is not older. */
  readonly since: number;
  /** An earlier attempt has recorded it and left no result: whatever it began may be on the forge. */
  readonly isRepeated: boolean;
}

/** The model reads this before what was done: its own words of this call are not what was written. */
const ALREADY = "Already there, nothing was written by this call.";

/**
 * Carries out one effect so that repeating it is the same effect: a record of the intent, a look at
 * the forge, the act, a record of the result. A ForgeFailure passes through and leaves the intent
 * open, to be looked up later.
 */
export async function findOrCreate(
  context: EffectContext,
  effect: {
    readonly tool: ToolName;
    readonly detail: string;
    readonly find: (intent: Intent) => Promise<Made | null>;
    readonly create: (key: string) => Promise<Made | Refused>;
  },
): Promise<ToolAnswer> {
  const key = effectKey(context.item, context.order, effect);
  const at = context.now();
  const { run, item } = context;
  const record = await context.effects.intend({ key, run, item, tool: effect.tool, at });
  if (record.state === "done") return { ok: true, text: `${ALREADY} ${record.text}` };
  const isRepeated = record.run !== run || record.at !== at;
  const found = await effect.find({ key, since: record.at, isRepeated });
  const made = found ?? (await effect.create(key));
  if ("refused" in made) {
    await context.effects.finish(record.id, { state: "refused", ref: null, text: made.refused });
    return { ok: false, text: made.refused };
  }
  await context.effects.finish(record.id, { state: "done", ref: made.ref, text: made.text });
  context.log.info("effect done", {
    effect: effect.tool,
    ...(made.ref === null ? {} : { ref: made.ref }),
  });
  return { ok: true, text: found === null ? made.text : `${ALREADY} ${made.text}` };
}
