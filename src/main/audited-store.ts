import type { ItemRef, Snapshot } from "../domain/snapshot.ts";
import type { Audit } from "../ports/observe.ts";
import type { EffectStore } from "../ports/store/effects.ts";
import type { RunStore } from "../ports/store/runs.ts";
import type { Store } from "../ports/store.ts";

/** Ids that are remembered, of runs and of intents; a run has a handful of intents. */
const KEPT_MAX = 10_000;
const TEXT_CHARACTERS_MAX = 300;

/**
 * The same store, with a line in the audit for everything somebody may have to answer for: an accepted
 * delivery, a run's start and end, the result of an effect, a pause. What it tells of is durable, but for
 * a run's start: on SQLite the disk has that run with the record of its process.
 */
export function auditedStore(store: Store, audit: Audit): Store {
  return {
    ...store,
    deliveries: {
      ...store.deliveries,
      record: async (delivery, marks) => {
        const kept = await store.deliveries.record(delivery, marks);
        if (kept === "accepted" && delivery.status === "accepted") {
          const { id, event, repo, number, sender, bodySha256 } = delivery;
          const body_sha256 = bodySha256;
          audit.append("delivery", { delivery: id, event, repo, number, sender, body_sha256 });
        }
        return kept;
      },
    },
    work: {
      ...store.work,
      pause: async (scope, on) => {
        await store.work.pause(scope, on);
        const { kind, ...name } = scope;
        audit.append(on ? "paused" : "resumed", { scope: kind, ...name });
      },
    },
    runs: auditedRuns(store.runs, audit),
    effects: auditedEffects(store.effects, audit),
  };
}

function auditedRuns(runs: RunStore, audit: Audit): RunStore {
  // Who ends a run twice changes nothing the second time.
  const ended = new Set<string>();
  return {
    ...runs,
    start: async (claim, run) => {
      const attempt = await runs.start(claim, run);
      if (attempt !== null) {
        const { id, item, order, session, resumed } = run;
        const { agent, skill, fingerprint, headSha } = order;
        audit.append("run_started", {
          ...item,
          ...{ run: id, attempt, agent, skill, fingerprint, head: headSha },
          ...{ session: session.sessionId, resumed, tainted: session.tainted },
        });
      }
      return attempt;
    },
    end: async (end) => {
      await runs.end(end);
      if (ended.has(end.id)) return;
      ended.add(end.id);
      const [oldest] = ended;
      if (ended.size > KEPT_MAX && oldest !== undefined) ended.delete(oldest);
      const { id, outcome, reason, usd, session } = end;
      audit.append("run_ended", {
        ...{ run: id, outcome, reason: cut(reason), usd },
        ...(session === null ? {} : { repo: session.repo, number: session.number }),
      });
    },
  };
}

function auditedEffects(effects: EffectStore, audit: Audit): EffectStore {
  const open = new Map<number, { key: string; run: string; item: ItemRef; tool: string }>();
  return {
    ...effects,
    intend: async (effect) => {
      const record = await effects.intend(effect);
      if (record.state !== "done") {
        const { key, run, item, tool } = effect;
        open.set(record.id, { key, run, item, tool });
        const [oldest] = open.keys();
        if (open.size > KEPT_MAX && oldest !== undefined) open.delete(oldest);
      }
      return record;
    },
    finish: async (id, end) => {
      await effects.finish(id, end);
      const { item, ...intent } = open.get(id) ?? { item: {} };
      open.delete(id);
      const kind = end.state === "done" ? "effect" : "effect_refused";
      audit.append(kind, { ...item, ...intent, ref: end.ref, text: cut(end.text) });
    },
  };
}

/**
 * The same reading, with a line in the audit whenever the forge's answer who has write access to a
 * repository (and so may give work) is another one than before; at most one answer is kept for each
 * configured repository.
 */
export function auditedWriters(
  read: (item: ItemRef) => Promise<Snapshot>,
  audit: Audit,
): (item: ItemRef) => Promise<Snapshot> {
  const known = new Map<string, string>();
  return async (item) => {
    const snapshot = await read(item);
    const writers = snapshot.writers.map(({ id, login }) => `${login} (${id})`).sort();
    const answer = writers.join(", ");
    if (known.get(item.repo) !== answer) {
      known.set(item.repo, answer);
      audit.append("writers", { repo: item.repo, count: writers.length, writers });
    }
    return snapshot;
  };
}

function cut(text: string): string {
  return text.length > TEXT_CHARACTERS_MAX ? `${text.slice(0, TEXT_CHARACTERS_MAX)}…` : text;
}
