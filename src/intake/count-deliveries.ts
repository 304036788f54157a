import type { Metrics } from "../ports/observe.ts";

/** Deliveries since the start, by how they were answered; `refused`: every 4xx and 5xx. */
export interface DeliveryCounts {
  readonly accepted: number;
  readonly duplicate: number;
  readonly ignored: number;
  readonly refused: number;
}

/** Passes every count on to the metrics and remembers the numbers for `/api/v1/status`. */
export function countDeliveries(
  metrics: Pick<Metrics, "delivery">,
): Pick<Metrics, "delivery"> & { counts(): DeliveryCounts } {
  const seen = { accepted: 0, duplicate: 0, ignored: 0, refused: 0 };
  return {
    delivery(status) {
      metrics.delivery(status);
      if (isCounted(status)) {
        seen[status] += 1;
      }
    },
    counts: () => ({ ...seen }),
  };
}

function isCounted(status: string): status is keyof DeliveryCounts {
  return ["accepted", "duplicate", "ignored", "refused"].includes(status);
}
