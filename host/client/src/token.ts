import type { Environment } from "./environment.js";
import type { Header } from "./framing.js";

/** How a close is told that asks for another token. */
export const UNAUTHORIZED = 4401;

/** How long before the end of a token another one is sent, in milliseconds, but at most a fifth of its time. */
const AHEAD = 60_000;

/** The longest time of a timer of a browser. */
const LONGEST = 2 ** 31 - 1;

/** Sends another token over the connection before the one that it has expires. */
export class Tokens {
  private stopTimer: () => void = () => {};
  private request: number | undefined;

  constructor(
    private readonly environment: Environment,
    private readonly get: (() => string | Promise<string>) | undefined,
    private readonly nextNumber: () => number,
    private readonly failed: (error: unknown) => void,
  ) {}

  /** A token is accepted, which expires after so many milliseconds, if it does. */
  accepted(expires: unknown, tell: (header: Header) => void): void {
    this.disconnected();
    if (!this.get || typeof expires !== "number") return;
    const delay = Math.min(expires - Math.min(AHEAD, expires / 5), LONGEST);
    this.stopTimer = this.environment.after(delay, () => void this.refresh(tell));
  }

  /** Whether it was a token that is refused. The host will close the connection, and the next one has another token. */
  refused(request: unknown): boolean {
    return request !== undefined && request === this.request;
  }

  /** There is no connection any more that could have another token. */
  disconnected(): void {
    this.stopTimer();
    this.request = undefined;
  }

  private async refresh(tell: (header: Header) => void): Promise<void> {
    const request = (this.request = this.nextNumber());
    try {
      const token = await this.get?.();
      // The connection may have ended meanwhile.
      if (this.request === request) tell({ type: "token", token, request });
    } catch (error) {
      this.failed(error);
    }
  }
}
