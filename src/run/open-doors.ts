import { spentBudget } from "../domain/budget.ts";
import type { EgressDoor, GatewayDoor, RunMeter } from "../ports/gateway.ts";
import type { RunDependencies } from "./dependencies.ts";
import type { Frame } from "./frame.ts";

/** The doors of a run could not be opened: sockets or memory of this host are used up. Claude was not asked. */
export class DoorFailure extends Error {
  override readonly name = "DoorFailure";
  readonly kind = "door";

  constructor(which: "gateway" | "egress", options: { readonly cause: unknown }) {
    super(`the ${which} door could not be opened`, options);
  }
}

/** Opens both or none. Throws DoorFailure. */
export async function openDoors(
  deps: RunDependencies,
  frame: Pick<Frame, "run" | "settings" | "agent" | "claim">,
): Promise<{ readonly door: GatewayDoor; readonly egress: EgressDoor | null }> {
  const { run, settings, agent } = frame;
  const door = await opened("gateway", () =>
    deps.gateway.open({
      runId: run,
      usdLimit: settings.policy.limits.usdPerRun,
      model: deps.agentSettings(agent.name).model,
      spent: async (used) => await outOf(deps, frame, used),
    }),
  );
  try {
    return { door, egress: await opened("egress", () => deps.egress.open(settings.network)) };
  } catch (error) {
    await door.close();
    throw error;
  }
}

/** The budget of the item or of the day that is used up by now, this run's own requests included. */
async function outOf(
  deps: RunDependencies,
  { run, settings, claim }: Pick<Frame, "run" | "settings" | "claim">,
  { usd, tokens }: RunMeter,
): Promise<string | null> {
  await deps.store.runs.metered(run, { usd, tokens });
  const spending = await deps.store.ledger.spending(claim.item);
  return spentBudget(spending, settings.policy.limits, deps.now())?.name ?? null;
}

async function opened<T>(which: "gateway" | "egress", open: () => Promise<T>): Promise<T> {
  try {
    return await open();
  } catch (error) {
    throw new DoorFailure(which, { cause: error });
  }
}
