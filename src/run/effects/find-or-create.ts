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
    readonly find: (key: string) => Promise<Made | null>;
    readonly create: (key: string) => Promise<Made | Refused>;
  },
): Promise<ToolAnswer> {
  const key = effectKey(context.item, context.order, effect);
  const record = await context.effects.intend({
    key,
    run: context.run,
    item: context.item,
    tool: effect.tool,
    at: context.now(),
  });
  if (record.state === "done") return { ok: true, text: record.text };
  const made = (await effect.find(key)) ?? (await effect.create(key));
  if ("refused" in made) {
    await context.effects.finish(record.id, { state: "refused", ref: null, text: made.refused });
    return { ok: false, text: made.refused };
  }
  await context.effects.finish(record.id, { state: "done", ref: made.ref, text: made.text });
  context.log.info("effect done", {
    effect: effect.tool,
    ...(made.ref === null ? {} : { ref: made.ref }),
  });
  return { ok: true, text: made.text };
}
