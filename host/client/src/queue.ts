import { Failure } from "./error.js";
import { copy, size } from "./framing.js";
import type { Data } from "./types.js";

/** What waits for a connection. */
export interface Waiting {
  data: Data;
  /** The number of the request; none if it is a message. */
  request?: number;
}

/** What waits for a connection, up to a bound. */
export class Queue {
  private waiting: Waiting[] = [];
  private bytes = 0;

  constructor(
    private readonly mostMessages = 100,
    readonly mostBytes = 1 << 20,
  ) {}

  get length(): number {
    return this.waiting.length;
  }

  /** Throws `queue-full`. */
  push(one: Waiting): void {
    const bytes = this.bytes + size(one.data);
    if (this.waiting.length >= this.mostMessages || bytes > this.mostBytes) throw full();
    this.waiting.push({ ...one, data: copy(one.data) });
    this.bytes = bytes;
  }

  /** Put what was sent and has to be sent again before everything else, whatever the bound: it was within it before. */
  again(some: Waiting[]): void {
    this.waiting = [...some, ...this.waiting];
    this.bytes += some.reduce((sum, one) => sum + size(one.data), 0);
  }

  /** Forget a request. */
  forget(request: number): void {
    this.replace(this.waiting.filter((one) => one.request !== request));
  }

  /** Take everything. */
  take(): Waiting[] {
    const all = this.waiting;
    this.replace([]);
    return all;
  }

  private replace(waiting: Waiting[]): void {
    this.waiting = waiting;
    this.bytes = waiting.reduce((sum, one) => sum + size(one.data), 0);
  }
}

export const full = () => new Failure("queue-full", "more messages wait for a connection than `queue` allows");
