import { Failure } from "./error.js";
import type { Handler, Member } from "./types.js";

/** The host keeps a name twice, and allows so many bytes. */
const LONGEST_NAME = 256;

/** What the page waits for, which has subscribed to a topic. */
export interface Asked {
  resolve(): void;
  reject(error: Failure): void;
}

/** What a client knows of a topic. */
export class Topic {
  handler: Handler | undefined;
  /** The page has subscribed to it, and not the module. */
  asked: Asked | undefined;
  /** The number of the page's subscription on this connection, until the host answers it. */
  request: number | undefined;
  /** With how many of the last messages to begin. */
  rewind: number | undefined;
  /** The position up to which the page has the messages. */
  position: string | undefined;
  /** There was a subscription before, so the page may have missed something since. */
  isKnown = false;
  /** There is a subscription on this connection. Messages that come without one are those of a subscription before it. */
  isLive = false;
  /** Messages up to this position come a second time: the subscription has begun again before it. */
  repeatsUpTo: string | undefined;
  /** Who is subscribed, by the ids; none if it is not known. */
  members: Map<number, Member> | undefined;
  /** The module's subscription, whose place the page's takes if it is not refused. */
  replaces: Topic | undefined;

  constructor(readonly name: string) {
    const { length } = new TextEncoder().encode(name);
    if (!length || length > LONGEST_NAME) {
      throw new Failure("invalid-topic", `the name of a topic has 1 to ${LONGEST_NAME} bytes`);
    }
  }

  /** Whether nothing has to be kept of it but the position. */
  get isIdle(): boolean {
    return !this.asked && !this.handler && !this.isLive;
  }
}
