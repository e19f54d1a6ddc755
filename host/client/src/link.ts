import type { Environment } from "./environment.js";
import { size } from "./framing.js";

/** What a link tells its client. */
export interface LinkEvents {
  received(message: string | ArrayBuffer): void;
  /** It has ended, or never began. Nothing more comes of it. */
  ended(code: number, reason: string): void;
}

/** The close code for a link from which nothing comes: the connection may go on with another one. */
const GAVE_UP = 3008;

/** A close frame has room for so many bytes of a reason. */
const LONGEST_REASON = 123;

/** Throws a `RangeError` if a WebSocket may not be closed like this. */
export function checkClose(code: number, reason: string): void {
  const isAllowed = code === 1000 || (code >= 3000 && code <= 4999);
  if (isAllowed && size(reason) <= LONGEST_REASON) return;
  throw new RangeError(`a close code is 1000 or 3000 to 4999, and a reason has at most ${LONGEST_REASON} bytes`);
}

/** One WebSocket, which counts as ended if nothing comes from it for too long. */
export class Link {
  private readonly socket: WebSocket;
  private heardAt: number;
  private stopWatch: () => void = () => {};
  private stopSoon: () => void = () => {};

  /** Throws if the address is none. */
  constructor(
    private readonly environment: Environment,
    url: string,
    protocols: string[],
    private patience: number,
    private readonly events: LinkEvents,
  ) {
    const socket = (this.socket = new environment.WebSocket(url, protocols));
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => {
      this.heardAt = environment.now();
      this.stopSoon();
      events.received(data as string | ArrayBuffer);
    };
    socket.onclose = ({ code, reason }) => {
      this.release();
      events.ended(code, reason);
    };
    this.heardAt = environment.now();
    this.watch();
  }

  /** What the browser has not passed on yet. */
  get unsentBytes(): number {
    return this.socket.bufferedAmount;
  }

  send(message: string | Uint8Array<ArrayBuffer>): void {
    this.socket.send(message);
  }

  /** End the link. `ended` is not called. */
  close(code: number, reason: string): void {
    this.release();
    this.socket.close(code, reason);
  }

  /** From now on, something has to come in each so many milliseconds. */
  expect(patience: number): void {
    this.patience = patience;
    this.watch();
  }

  /** Something has to come within so many milliseconds, once. */
  expectSoon(patience: number): void {
    this.stopSoon();
    this.stopSoon = this.environment.after(patience, () => this.giveUp());
  }

  /** End the link if nothing has come for too long. A browser delays timers while nobody sees its page. */
  check(): void {
    if (this.environment.now() - this.heardAt >= this.patience) this.giveUp();
  }

  private giveUp(): void {
    // The other side may not read the close frame, and a browser waits long for an answer to it.
    this.release();
    this.socket.close(GAVE_UP);
    this.events.ended(1006, "nothing came for too long");
  }

  private watch(): void {
    this.stopWatch();
    const delay = this.heardAt + this.patience - this.environment.now();
    let isStopped = false;
    const stopTimer = this.environment.after(Math.max(delay, 1), () => {
      this.check();
      if (!isStopped) this.watch();
    });
    this.stopWatch = () => {
      isStopped = true;
      stopTimer();
    };
  }

  private release(): void {
    this.stopWatch();
    this.stopSoon();
    this.socket.onmessage = this.socket.onclose = null;
  }
}
