/**
 * What every request of a conversation begins with. If it changes, the next request of the
 * conversation has no unchanged beginning that the model's server could know already (measured: a
 * changed list of tools or another model), and is paid for in full once.
 */
export interface Prefix {
  /** Key of the session, and the id of its conversation. */
  readonly key: string;
  readonly session: string;
  readonly agent: string;
  readonly model: string;
  /** Digest of the names of all tools. */
  readonly tools: string;
}

/** With which beginnings conversations would be resumed. */
export interface PrefixTable {
  /** Remembers what a run of the conversation was begun with. */
  put(prefix: Prefix): Promise<void>;
  /** Of every conversation that would be resumed. */
  current(): Promise<readonly Prefix[]>;
}
