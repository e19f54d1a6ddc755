import type { Environment } from "./environment.js";
import { closed, Failure } from "./error.js";
import { copy } from "./framing.js";
import type { Waiting } from "./queue.js";
import type { Data, Payload } from "./types.js";

interface Request {
  /** What is sent again if the connection ends; none if the request is given up then. */
  again: Data | undefined;
  isSent: boolean;
  resolve(answer: Payload): void;
  reject(error: Failure): void;
  stopTimer(): void;
}

/** The requests that are not answered yet. */
export class Requests {
  private readonly open = new Map<number, Request>();

  constructor(private readonly environment: Environment) {}

  /** Wait for the answer to a request. `forget` is called if it is given up. */
  add(number: number, data: Data, retry: boolean, timeout: number, forget: () => void): Promise<Payload> {
    const again = retry ? copy(data) : undefined;
    return new Promise((resolve, reject) => {
      const stopTimer = this.environment.after(timeout, () => {
        forget();
        this.reject(number, new Failure("timeout", `no answer came within ${timeout} ms`));
      });
      this.open.set(number, { again, isSent: false, resolve, reject, stopTimer });
    });
  }

  sent(number: number): void {
    const request = this.open.get(number);
    if (request) request.isSent = true;
  }

  resolve(number: number, answer: Payload): void {
    this.take(number)?.resolve(answer);
  }

  /** Returns whether there is such a request. */
  reject(number: number, error: Failure): boolean {
    const request = this.take(number);
    request?.reject(error);
    return !!request;
  }

  /** The connection has ended. Returns what has to be sent again. */
  disconnected(): Waiting[] {
    const again: Waiting[] = [];
    for (const [number, request] of [...this.open]) {
      if (!request.isSent) continue;
      request.isSent = false;
      if (request.again !== undefined) again.push({ data: request.again, request: number });
      else this.reject(number, disconnected());
    }
    return again;
  }

  /** There will be no other connection. */
  close(): void {
    for (const number of [...this.open.keys()]) this.reject(number, closed());
  }

  private take(number: number): Request | undefined {
    const request = this.open.get(number);
    this.open.delete(number);
    request?.stopTimer();
    return request;
  }
}

const disconnected = () =>
  new Failure("disconnected", "the connection ended; the module may or may not have been asked");
