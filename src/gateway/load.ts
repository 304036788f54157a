/** What all doors of a gateway hold in memory together, in bytes of requests. */
export interface Load {
  /** The share of one door. */
  door(): DoorLoad;
}

/** What one door holds. */
export interface DoorLoad {
  /** Takes room for a request; returns why there is none, or how to give it back (twice does no harm). */
  enter(bytes: number): Full | Entered;
}

/** `door`: this run asks too much at once. `gateway`: all runs together do. */
type Full = "door" | "gateway";
/** A request that has been let in. */
export interface Entered {
  /** The request has been passed on: its bytes are free, its place is not. */
  sent(): void;
  /** The request is over. */
  leave(): void;
}

/** How much may be in memory. */
export interface LoadLimits {
  /** Requests of one door at the same time; the CLI makes one (measured). */
  readonly requestsPerDoor: number;
  readonly bytesPerDoor: number;
  readonly bytes: number;
}

/** An empty gateway. */
export function createLoad(limits: LoadLimits): Load {
  let bytesInAll = 0;
  return {
    door() {
      let requests = 0;
      let bytesHere = 0;
      return {
        enter(bytes) {
          if (requests >= limits.requestsPerDoor) return "door";
          if (bytesHere + bytes > limits.bytesPerDoor) return "door";
          if (bytesInAll + bytes > limits.bytes) return "gateway";
          let held = bytes;
          let isIn = true;
          requests += 1;
          bytesHere += bytes;
          bytesInAll += bytes;
          const sent = (): void => {
            bytesHere -= held;
            bytesInAll -= held;
            held = 0;
          };
          return {
            sent,
            leave() {
              sent();
              if (isIn) requests -= 1;
              isIn = false;
            },
          };
        },
      };
    },
  };
}
