import type { Environment } from "./environment.js";

/** A connection that lasted so long was a good one: what comes after it is the first failure. */
const STABLE = 10_000;

/** When to try again. */
export class Backoff {
  /** How often it failed since there was a good connection. */
  private failures = 0;
  private openedAt: number | undefined;

  constructor(
    private readonly environment: Environment,
    private readonly base = 500,
    private readonly cap = 30_000,
  ) {}

  /** There is a connection. */
  opened(): void {
    this.openedAt = this.environment.now();
  }

  /** It has ended, or an attempt has failed. Returns the number of the next attempt, and the wait before it, which is at
   *  least so many milliseconds. */
  next(atLeast: number | undefined): { attempt: number; delay: number } {
    if (this.openedAt !== undefined && this.environment.now() - this.openedAt >= STABLE) this.failures = 0;
    this.openedAt = undefined;
    // The whole wait is random, so that the clients of a host do not come back all at once. If the host wants a client back
    // at once, it is one of few.
    const most = Math.min(this.cap, this.base * 2 ** this.failures);
    const wait = atLeast === 0 && !this.failures ? 0 : this.environment.random() * most;
    this.failures += 1;
    return { attempt: this.failures, delay: Math.round((atLeast ?? 0) + wait) };
  }
}
