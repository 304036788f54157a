import { passName } from "../domain/gate.ts";
import type { AgentEnd, AgentEvent } from "../ports/agent.ts";
import type { RunMeter } from "../ports/gateway.ts";
import type { RunDependencies } from "./dependencies.ts";
import type { Frame } from "./frame.ts";
import type { Verdict } from "./outcome.ts";

/** While a run goes on: the first thing Claude does proves that the model answers. */
export function tellPassed(
  deps: RunDependencies,
  { claim, agent }: Pick<Frame, "claim" | "agent">,
  event: AgentEvent,
): void {
  if (event.kind !== "tool") return;
  deps.gates.pass(deps.agentSettings(agent.name).modelGate, passName(claim));
}

/** At the end of a run: what it has found out about the gates, before its order is decided on anew. */
export async function tellGates(
  deps: RunDependencies,
  { claim, agent }: Pick<Frame, "claim" | "agent">,
  found: { readonly end: AgentEnd; readonly verdict: Verdict; readonly meter: RunMeter },
): Promise<void> {
  const { end, verdict, meter } = found;
  const by = passName(claim);
  if (verdict.blocker !== null) deps.gates.block(verdict.blocker, by);
  else if (meter.contextTokens > 0 && (meter.refusal ?? null) === null) {
    deps.gates.pass(deps.agentSettings(agent.name).modelGate, by);
  }
  // Nothing but a look tells a sandbox that does not start from a program that is not there.
  if (end.kind === "operator" && end.reason === "launch") await deps.gates.suspect("sandbox");
}
