import { randomUUID } from "node:crypto";
import type { Replaced } from "../../src/main/replaced.ts";
import type { EffectStore } from "../../src/ports/store/effects.ts";
import type { Store } from "../../src/ports/store.ts";

/** One defence taken away, and the counter that then must speak. */
const WEAKNESSES = {
  /** A delivery is acknowledged before it is durable. */
  durability: (): Replaced => ({ store: acknowledgesEarly }),
  /** A known delivery id is taken as a new one. */
  deduplication: (): Replaced => ({ store: knowsNoDelivery }),
  /** Each process knows only the deliveries that came to itself. */
  "shared de-duplication": (): Replaced => ({ store: knowsOwnDeliveries }),
  /** A lease holds nobody off, and who works under it is not told; for one process alone it does nothing. */
  lease: (): Replaced => ({ store: holdsNoLease }),
  /** At boot no process of an earlier life is found. */
  fence: (): Replaced => ({
    processes: (processes) => ({
      ...processes,
      isAlive: () => false,
      end: async () => undefined,
      endTagged: async () => 0,
    }),
  }),
  /** What runs and effects there were is not known when deciding. */
  ledger: (): Replaced => ({ store: remembersNothing }),
  /** Neither the record of an effect nor the effect on the forge is found again. */
  "look-up": (): Replaced => ({
    store: (store) => ({ ...store, effects: findsNoEffect(store.effects) }),
    forge: (forge) => ({
      ...forge,
      reader: { ...forge.reader, comments: async () => [] },
      actor: (agent) => ({ ...forge.actor(agent), reviews: async () => [] }),
    }),
  }),
  /** No pull request is seen again, in the ledger or on the forge, before another one is opened. */
  "pull look-up": (): Replaced => ({
    store: (store) => ({ ...store, effects: findsNoEffect(store.effects) }),
    forge: (forge) => ({
      ...forge,
      reader: {
        ...forge.reader,
        pullsByBranch: async () => [],
        snapshot: async (query) => ({ ...(await forge.reader.snapshot(query)), pull: null }),
      },
    }),
  }),
  /** An order is decided and then forgotten. */
  order: (): Replaced => ({ store: forgetsOrders }),
} as const;

export type Weakness = keyof typeof WEAKNESSES;

export function isWeakness(name: string): name is Weakness {
  return Object.hasOwn(WEAKNESSES, name);
}

export function weaken(weakness: Weakness): Replaced {
  return WEAKNESSES[weakness]();
}

const EARLY_MS = 300;

function acknowledgesEarly(store: Store): Store {
  return {
    ...store,
    deliveries: {
      ...store.deliveries,
      record: async (delivery, marks) => {
        setTimeout(() => void store.deliveries.record(delivery, marks), EARLY_MS);
        return await Promise.resolve("accepted");
      },
    },
  };
}

function knowsNoDelivery(store: Store): Store {
  const known = new Set<string>();
  return {
    ...store,
    deliveries: {
      ...store.deliveries,
      record: async (delivery, marks) => {
        const isKnown = known.has(delivery.id);
        known.add(delivery.id);
        const id = isKnown ? `${delivery.id}-${randomUUID()}` : delivery.id;
        // Neither the id nor the body may give it away.
        const bodySha256 = isKnown ? id : delivery.bodySha256;
        return await store.deliveries.record({ ...delivery, id, bodySha256 }, marks);
      },
    },
  };
}

function knowsOwnDeliveries(store: Store): Store {
  return {
    ...store,
    deliveries: {
      ...store.deliveries,
      record: async (delivery, marks) => {
        const id = `${delivery.id}@${process.pid}`;
        return await store.deliveries.record({ ...delivery, id, bodySha256: id }, marks);
      },
    },
  };
}

function holdsNoLease(store: Store): Store {
  return {
    ...store,
    runs: {
      ...store.runs,
      start: async (claim, run) => {
        const attempt = await store.runs.start(claim, run);
        await store.work.heartbeat(claim, 1);
        return attempt;
      },
    },
    work: {
      ...store.work,
      heartbeat: async ({ mark }) => await Promise.resolve({ held: true, mark }),
      leaseState: async ({ mark }) => await Promise.resolve({ held: true, mark }),
    },
  };
}

function remembersNothing(store: Store): Store {
  return {
    ...store,
    ledger: {
      ...store.ledger,
      read: async (item) => ({ ...(await store.ledger.read(item)), runs: [], effects: [] }),
    },
  };
}

function findsNoEffect(effects: EffectStore): EffectStore {
  return {
    ...effects,
    intend: async (effect) =>
      await effects.intend({ ...effect, key: `${effect.key}#${randomUUID()}` }),
    openIntents: async () => [],
  };
}

function forgetsOrders(store: Store): Store {
  return {
    ...store,
    work: {
      ...store.work,
      settleReconcile: async (claim, result) =>
        await store.work.settleReconcile(claim, { ...result, order: null }),
    },
  };
}
