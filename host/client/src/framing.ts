import { Failure } from "./error.js";
import type { Data, Payload } from "./types.js";

/** The header of a message. Fields that are not known are ignored. */
export type Header = Record<string, unknown>;

/** A message of the protocol: a header, a line feed, and a payload. */
export interface Frame {
  /** None if the module has sent the payload to this client. */
  header: Header | undefined;
  payload: Payload;
}

const LINE_FEED = 10;
const encoder = new TextEncoder();

/** A message as it is sent: text if its payload is a text, and binary otherwise. */
export function encode(header: Header | undefined, payload: Data): string | Uint8Array<ArrayBuffer> {
  const line = header ? JSON.stringify(header) + "\n" : "\n";
  if (typeof payload === "string") return line + payload;
  const first = encoder.encode(line);
  const rest = bytes(payload);
  const message = new Uint8Array(first.length + rest.length);
  message.set(first);
  message.set(rest, first.length);
  return message;
}

/** Read a message. Throws `protocol` if it is not one. */
export function decode(message: string | ArrayBuffer): Frame {
  if (typeof message === "string") {
    const end = message.indexOf("\n");
    return { header: parse(end, message.slice(0, end)), payload: message.slice(end + 1) };
  }
  const all = new Uint8Array(message);
  const end = all.indexOf(LINE_FEED);
  return { header: parse(end, new TextDecoder().decode(all.subarray(0, end))), payload: all.slice(end + 1) };
}

/** Throws a `TypeError` if something cannot be a payload, such as a `Blob`, whose bytes are not there at once. */
export function checkData(data: unknown): void {
  // `instanceof` does not know the classes of another window.
  const isBuffer = Object.prototype.toString.call(data) === "[object ArrayBuffer]";
  if (typeof data === "string" || isBuffer || ArrayBuffer.isView(data)) return;
  throw new TypeError("a message is a string, an ArrayBuffer or a view of one");
}

/** A payload that is kept: the page may write something else into its buffer meanwhile. */
export function copy(payload: Data): Data {
  return typeof payload === "string" ? payload : bytes(payload).slice();
}

/** How many bytes a payload has when it is sent. */
export function size(payload: Data): number {
  return typeof payload === "string" ? encoder.encode(payload).length : payload.byteLength;
}

function bytes(payload: ArrayBuffer | ArrayBufferView): Uint8Array {
  return ArrayBuffer.isView(payload)
    ? new Uint8Array(payload.buffer, payload.byteOffset, payload.byteLength)
    : new Uint8Array(payload);
}

function parse(end: number, line: string): Header | undefined {
  if (end === 0) return undefined;
  try {
    const header: unknown = JSON.parse(end < 0 ? "" : line);
    if (typeof header === "object" && header && !Array.isArray(header)) return header as Header;
  } catch {
    // Below.
  }
  throw new Failure("protocol", "a message of the host has no header that can be read");
}
