import type { Environment } from "./environment.js";
import type { Header } from "./framing.js";
import { within } from "./within.js";

/** How a close is told that asks for another token. */
export const UNAUTHORIZED = 4401;

/** How long before the end of a token another one is sent, in milliseconds, but at most a fifth of its time. */
const AHEAD = 60_000;

/** Tokens that expire within so many milliseconds of each other are the same. */
const SAME = 1_000;

/** How long to wait before another attempt to replace a token, in milliseconds. */
const PAUSE = 5_000;

/** Sends another token over the connection before the one that it has expires. */
export class Tokens {
  private stopTimer: () => void = () => {};
  /** When the token expires. */
  private until: number | undefined;
  private request: number | undefined;

  constructor(
    private readonly environment: Environment,
    private readonly get: (() => string | Promise<string>) | undefined,
    private readonly patience: number,
    private readonly nextNumber: () => number,
    private readonly failed: (error: unknown) => void,
  ) {}

  /** A token is accepted, which expires after so many milliseconds, if it does. */
  accepted(expires: unknown, tell: (header: Header) => void): void {
    const before = this.until;
    this.disconnected();
    if (!this.get || typeof expires !== "number") return;
    this.until = this.environment.now() + expires;
    const isSame = before !== undefined && Math.abs(this.until - before) <= SAME;
    if (!isSame) this.wait(expires - Math.min(AHEAD, expires / 5), tell);
    // The page may keep its token until shortly before the end. It is asked a few times, not without end.
    else if (expires > PAUSE) this.wait(Math.max(PAUSE, expires / 2), tell);
  }

  /** Whether it was a token that is refused. Another one may do until the host closes the connection. */
  refused(request: unknown, tell: (header: Header) => void): boolean {
    if (request === undefined || request !== this.request) return false;
    this.again(tell);
    return true;
  }

  /** There is no connection any more that could have another token. */
  disconnected(): void {
    this.stopTimer();
    this.request = this.until = undefined;
  }

  private wait(delay: number, tell: (header: Header) => void): void {
    this.stopTimer = this.environment.after(delay, () => void this.refresh(tell));
  }

  private again(tell: (header: Header) => void): void {
    this.request = undefined;
    if (this.until !== undefined && this.environment.now() < this.until) this.wait(PAUSE, tell);
  }

  private async refresh(tell: (header: Header) => void): Promise<void> {
    const request = (this.request = this.nextNumber());
    try {
      const token = await within(this.environment, this.patience, Promise.resolve(this.get?.()));
      // The connection may have ended meanwhile.
      if (this.request !== request) return;
      if (typeof token !== "string" || !token) throw new Error("there is no token");
      tell({ type: "token", token, request });
    } catch (error) {
      // Then the page does not want to hear of it.
      if (this.request !== request) return;
      this.failed(error);
      this.again(tell);
    }
  }
}
