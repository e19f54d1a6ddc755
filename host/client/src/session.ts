import type { Header } from "./framing.js";

/** A message as it is sent. */
export type Encoded = string | Uint8Array<ArrayBuffer>;

/** Of so many bytes, or of half of what it keeps, a client wants to know whether they have arrived. */
const UNSURE = 1 << 16;

/** What both sides have received on a connection that goes on when its network fails: what has not arrived is sent again. */
export class Session {
  /** How many messages of the host have arrived. */
  received = 0;
  private sent: Encoded[] = [];
  /** How many messages have arrived before the first of those. */
  private before = 0;
  private bytes = 0;
  private isAsking = false;

  constructor(
    private token: string,
    private readonly mostBytes: number,
  ) {}

  /** What the client offers to have the connection again. */
  get state(): Header {
    return { resume: this.token, received: this.received };
  }

  /** A message is sent, or is to be sent when the connection goes on. Returns false if more is unsure than is kept: then the
   *  connection cannot go on after its network has failed. */
  add(message: Encoded): boolean {
    this.sent.push(message);
    this.bytes += message.length;
    return this.bytes <= this.mostBytes;
  }

  /** Returns whether the host has to be asked what has arrived. */
  ask(): boolean {
    if (this.isAsking || this.bytes <= Math.min(UNSURE, this.mostBytes / 2)) return false;
    return (this.isAsking = true);
  }

  /** The connection goes on, and has another token for the next time. */
  goOn({ resume, received }: Header): void {
    if (typeof resume === "string") this.token = resume;
    this.confirm(received);
  }

  /** So many messages have arrived at the host. */
  confirm(received: unknown): void {
    if (typeof received !== "number") return;
    this.isAsking = false;
    for (const message of this.sent.splice(0, Math.max(0, received - this.before))) this.bytes -= message.length;
    this.before = Math.max(this.before, received);
  }

  /** What has to be sent again. */
  get rest(): readonly Encoded[] {
    return this.sent;
  }
}
