/** One route made to fail: the next `times` matching calls are answered with `status`. */
type RouteFault = {
  method?: string;
  /** Tested against the path with its query, e.g. /pulls\/\d+\/merge/. */
  path: RegExp;
  status?: number;
  message?: string;
  times?: number;
  /** Waits before answering. */
  delayMs?: number;
  headers?: Record<string, string>;
  /** true: the call is carried out first and only its answer is lost. */
  afterEffect?: boolean;
};

type WebhookFault = { kind: "drop" | "duplicate"; times: number; eventType: string | undefined };

/** Fault injection for tests. */
export type Faults = {
  /** Makes the next calls of a route fail or wait (`status` absent: only wait). */
  answerNext: (fault: RouteFault) => void;
  /** The next webhooks (of one event type, or any) are never sent. */
  dropWebhooks: (times: number, eventType?: string) => void;
  /** The next webhooks are sent twice, byte for byte and with the same delivery id. */
  duplicateWebhooks: (times: number, eventType?: string) => void;
  /** Every webhook waits this long before it is sent. */
  delayWebhooks: (ms: number) => void;
  clear: () => void;
  /** For the server: the fault for this call, used up. */
  takeRoute: (method: string, path: string) => RouteFault | undefined;
  /** For the delivery: how often to send this webhook (0, 1 or 2). */
  takeWebhook: (eventType: string) => number;
  webhookDelayMs: () => number;
};

/** @returns faults with nothing set. */
export function createFaults(): Faults {
  let routes: (RouteFault & { left: number })[] = [];
  let webhooks: WebhookFault[] = [];
  let delayMs = 0;
  const addWebhook = (kind: WebhookFault["kind"], times: number, eventType?: string): void => {
    webhooks.push({ kind, times, eventType });
  };
  return {
    answerNext: (fault) => routes.push({ ...fault, left: fault.times ?? 1 }),
    dropWebhooks: (times, eventType) => addWebhook("drop", times, eventType),
    duplicateWebhooks: (times, eventType) => addWebhook("duplicate", times, eventType),
    delayWebhooks: (ms) => {
      delayMs = ms;
    },
    clear: () => {
      routes = [];
      webhooks = [];
      delayMs = 0;
    },
    takeRoute: (method, path) => {
      const found = routes.find(
        (fault) => (fault.method === undefined || fault.method === method) && fault.path.test(path),
      );
      if (found === undefined) return undefined;
      found.left -= 1;
      routes = routes.filter((fault) => fault.left > 0);
      return found;
    },
    takeWebhook: (eventType) => {
      const found = webhooks.find(
        (fault) => fault.eventType === undefined || fault.eventType === eventType,
      );
      if (found === undefined) return 1;
      found.times -= 1;
      webhooks = webhooks.filter((fault) => fault.times > 0);
      return found.kind === "drop" ? 0 : 2;
    },
    webhookDelayMs: () => delayMs,
  };
}
