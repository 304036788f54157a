/** Small values of the service itself, such as the start of the last complete sweep. */
export interface MetaStore {
  get(key: string): Promise<string | null>;
  set(key: string, value: string): Promise<void>;
  remove(key: string): Promise<void>;
  /** Up to `limit` keys that begin with `prefix` and come after the key `after` ("": all), in order. */
  keys(of: {
    readonly prefix: string;
    readonly after: string;
    readonly limit: number;
  }): Promise<readonly string[]>;
}
