import type { HassockError } from "./types.js";

/** What goes wrong, with a code for programs. */
export class Failure extends Error implements HassockError {
  override readonly name = "HassockError";

  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** The client has been closed. */
export const closed = () => new Failure("closed", "the client is closed");
