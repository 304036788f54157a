/** Tokens of model answers, added up as they stream through the gateway. */
export interface TokenUsage {
  readonly input: number;
  readonly output: number;
  readonly cacheRead: number;
  readonly cacheWrite: number;
}

/** What the gateway has seen of one run. */
export interface RunMeter {
  readonly tokens: TokenUsage;
  /**
   * US dollars by the price table; a model without a price costs what the dearest does. A request the
   * agent gave up is charged with what may have been written by then.
   */
  readonly usd: number;
  readonly requests: number;
  /** Tokens of the newest request that was answered, those from the cache included; 0 before one. */
  readonly contextTokens: number;
  /** The newest `retry-after` the model's server sent, as epoch milliseconds, or null. */
  readonly retryAt: number | null;
  /**
   * When the subscription's limit is reset, as epoch milliseconds; absent or null when none was hit.
   * The CLI reads this only for a subscription's own token, and it never has that.
   */
  readonly limitResetsAt?: number | null;
  /** The budget of several runs that had nothing left for the newest request; null or absent: none. */
  readonly outOf?: string | null;
  /**
   * How the newest request failed: with the HTTP status of the model's server, or null when that could
   * not be reached or broke off. Null or absent when it was answered, or there was none. This is the
   * only word about the model's server that no agent with a shell could have made up.
   */
  readonly refusal?: { readonly status: number | null } | null;
}

/** The door of one run to the model; `credential` is worthless anywhere else. */
export interface GatewayDoor {
  readonly socket: string;
  /** http://127.0.0.1:<port> for a run without a sandbox, else null. */
  readonly url: string | null;
  readonly credential: string;
  meter(): RunMeter;
  /** Forgets the credential: later requests with it are refused. */
  close(): Promise<void>;
}

/**
 * Asked before each request with what the run has used so far: the name of a budget of several runs
 * that has nothing left, such as `usd_per_day`, or null. Then the request is refused and the run ends.
 */
export type SpentQuestion = (used: RunMeter) => Promise<string | null>;

/** The only way from an agent to the model: it adds the key, meters, and stops a run at its budget. */
export interface Gateway {
  /** `model`: the model of the run, the only one it may ask for besides the CLI's small one; absent: any with a price. */
  open(run: {
    readonly runId: string;
    readonly usdLimit: number;
    readonly model?: string;
    readonly spent?: SpentQuestion;
  }): Promise<GatewayDoor>;
  stop(): Promise<void>;
}

/** A proxy that lets through only the named hosts, and logs what it refused. */
export interface Egress {
  /** Opens a unix socket for the given hosts; null when the list is empty. */
  open(hosts: readonly string[]): Promise<EgressDoor | null>;
}

/** The opening of one run to the hosts it may reach. */
export interface EgressDoor {
  readonly socket: string;
  readonly refused: () => readonly string[];
  close(): Promise<void>;
}

/**
 * The beginnings of the gateway's own error texts. The CLI hands them on inside its own message, and
 * that is the only way in which the agent adapter can tell them from errors of the model's server.
 */
export const GATEWAY_ERRORS = {
  budgetSpent: "claude-hooks: the budget of this run is spent",
  unreachable: "claude-hooks: the model's server cannot be reached",
} as const;
