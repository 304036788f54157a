import type { Check } from "./check.ts";
import type { World } from "./world.ts";

/** One claim about a forge. `restsOn` names the source it was taken from. */
export type ContractCase = {
  name: string;
  restsOn: string;
  run: (world: World, check: Check) => Promise<void>;
};
