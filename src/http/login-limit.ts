const WINDOW_MS = 60_000;
const FAILURES_MAX = 10;

/** How often somebody may guess the admin token at the login. */
export interface LoginLimit {
  /** Seconds until the next try is looked at, or null when it is now. */
  wait(): number | null;
  failed(): void;
}

/**
 * Counts failed logins of everybody together: behind a proxy all of them come from one address, and
 * the listener is on loopback. After 10 within a minute nobody's is looked at, the right token's
 * neither, until the oldest is a minute old; a bearer token is not concerned. `now`: epoch ms.
 */
export function createLoginLimit(now: () => number): LoginLimit {
  let failures: readonly number[] = [];
  const recent = () => failures.filter((at) => now() - at < WINDOW_MS);
  return {
    wait: () => {
      failures = recent();
      const [oldest] = failures;
      return failures.length < FAILURES_MAX || oldest === undefined
        ? null
        : Math.ceil((oldest + WINDOW_MS - now()) / 1000);
    },
    failed: () => {
      failures = [...recent(), now()].slice(-FAILURES_MAX);
    },
  };
}
