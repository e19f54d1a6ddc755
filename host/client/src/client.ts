import { Backoff } from "./backoff.js";
import { Emitter } from "./emitter.js";
import type { Environment } from "./environment.js";
import { closed, Failure } from "./error.js";
import { checkData, decode, encode, type Frame, type Header, size } from "./framing.js";
import { checkClose, Link } from "./link.js";
import { offer } from "./offer.js";
import { full, Queue, type Waiting } from "./queue.js";
import { Requests } from "./requests.js";
import { type Encoded, Session } from "./session.js";
import { Tokens, UNAUTHORIZED } from "./token.js";
import { Topics } from "./topics.js";
import type { Client, Data, Events, Handler, Options, Payload, RequestOptions, SubscribeOptions, Subscription } from "./types.js";
import { within } from "./within.js";

/** How much later than it has promised the host may say something, in milliseconds. */
const LATENESS = 10_000;

/** The types of messages that do not belong to a connection that may go on. */
const UNCOUNTED: unknown[] = ["connected", "heartbeat", "closing"];

/** A number that is unique among the requests and subscriptions of a client. */
function counter(): () => number {
  let last = 0;
  return () => ++last;
}

/** A client that connects again whenever its connection ends. */
export class ReconnectingClient implements Client {
  state: Client["state"] = "connecting";
  connection: number | undefined;

  private readonly emitter = new Emitter();
  private readonly nextNumber = counter();
  private readonly topics = new Topics(this.emitter, this.nextNumber);
  private readonly requests: Requests;
  private readonly tokens: Tokens;
  private readonly queue: Queue;
  private readonly backoff: Backoff;
  private readonly stopWaking: () => void;
  private link: Link | undefined;
  /** If the connection goes on when its network fails. */
  private session: Session | undefined;
  /** What the host has said about the end of this connection. */
  private closing: Header | undefined;
  private wasOpen = false;
  /** Before this time the host does not want the client back. */
  private notBefore = 0;
  private stopWaiting: () => void = () => {};

  constructor(
    private readonly environment: Environment,
    private readonly address: () => string | Promise<string>,
    private readonly options: Options,
  ) {
    const { backoff, queue } = options;
    this.requests = new Requests(environment);
    const failed = (error: unknown) => this.failed("token", error);
    this.tokens = new Tokens(environment, options.token, this.connectTimeout, this.nextNumber, failed);
    this.queue = new Queue(queue?.messages, queue?.bytes);
    this.backoff = new Backoff(environment, backoff?.base, backoff?.cap);
    this.stopWaking = environment.onWake(() => this.wake());
    void this.attempt();
  }

  on<K extends keyof Events>(event: K, listener: (event: Events[K]) => void): () => void {
    return this.emitter.on(event, listener);
  }

  send(data: Data): void {
    checkData(data);
    this.sendOrKeep({ data });
  }

  async request(data: Data, { timeout = this.options.requestTimeout ?? 10_000, retry = false }: RequestOptions = {}): Promise<Payload> {
    checkData(data);
    const request = this.nextNumber();
    const answer = this.requests.add(request, data, retry, timeout, () => this.queue.forget(request));
    try {
      this.sendOrKeep({ data, request });
    } catch (error) {
      this.requests.reject(request, error as Failure);
    }
    return answer;
  }

  subscribe(topic: string, handler: Handler, options: SubscribeOptions = {}): Subscription {
    this.checkOpen();
    return this.topics.subscribe(topic, handler, options);
  }

  listen(topic: string, handler: Handler): () => void {
    this.checkOpen();
    return this.topics.listen(topic, handler);
  }

  close(code = 1000, reason = ""): void {
    // A WebSocket would refuse it in the middle of what follows, and only if there is one.
    checkClose(code, reason);
    if (this.isClosed()) return;
    this.link?.close(code, reason);
    this.finish(code, reason);
  }

  private get connectTimeout(): number {
    return this.options.connectTimeout ?? 15_000;
  }

  private isClosed(): boolean {
    return this.state === "closed";
  }

  private checkOpen(): void {
    if (this.isClosed()) throw closed();
  }

  private async attempt(): Promise<void> {
    this.state = "connecting";
    try {
      const asked = Promise.all([this.address(), this.options.token?.()]);
      const [url, token] = await within(this.environment, this.connectTimeout, asked);
      // The page may have closed the client meanwhile.
      if (this.isClosed()) return;
      const before = { ...this.session?.state, token };
      const protocols = offer(this.topics.positions(), this.options.protocols ?? [], before);
      this.link = new Link(this.environment, url, protocols, this.connectTimeout, {
        received: (message) => this.received(message),
        ended: (code, reason) => this.ended(code, reason),
      });
    } catch (error) {
      if (this.isClosed()) return;
      this.failed("url", error);
      this.ended(1006, "");
    }
  }

  private failed(code: string, error: unknown): void {
    this.emitter.emit("error", new Failure(code, `${code === "url" ? "cannot connect" : "there is no other token"}: ${String(error)}`));
  }

  private received(message: string | ArrayBuffer): void {
    try {
      this.handle(decode(message));
    } catch (error) {
      this.emitter.emit("error", error as Failure);
    }
  }

  private handle({ header, payload }: Frame): void {
    if (this.session && !UNCOUNTED.includes(header?.type)) this.session.received += 1;
    if (!header) return this.emitter.emit("message", { data: payload });
    if (header.type === undefined) return this.topics.message(header, payload);
    switch (header.type) {
      case "connected":
        return this.opened(header);
      case "subscribed":
        return this.topics.subscribed(header);
      case "unsubscribed":
        return this.topics.unsubscribed(header);
      case "gap":
        return this.topics.gap(header);
      case "presence":
        return this.topics.presence(header);
      case "position":
        return this.topics.position(header);
      case "reply":
        return this.requests.resolve(header.request as number, payload);
      case "error":
        return this.refused(header);
      case "heartbeat":
        return this.heard(header);
      case "token":
        return this.tokens.accepted(header.expires, (header) => this.tell(header));
      case "closing":
        this.closing = header;
    }
  }

  private heard({ received }: Header): void {
    this.session?.confirm(received);
    this.beat();
  }

  private opened(header: Header): void {
    const again = this.wasOpen;
    const resumed = header.resumed === true;
    if (resumed && !this.session) {
      // More was sent meanwhile than is kept, so the connection cannot go on.
      this.link?.close(1000, "");
      return this.ended(1006, "");
    }
    this.state = "open";
    this.wasOpen = true;
    this.connection = header.connection as number;
    this.link?.expect((header.heartbeat as number) + LATENESS);
    this.backoff.opened();
    this.tokens.accepted(header.expires, (header) => this.tell(header));
    if (resumed) this.goOn(header);
    else this.begin(header);
    for (const waiting of this.queue.take()) this.write(waiting);
    const subprotocol = header.subprotocol as string | undefined;
    this.emitter.emit("open", { connection: this.connection, subprotocol, again, resumed });
  }

  /** It is the connection from before. */
  private goOn(header: Header): void {
    this.session?.goOn(header);
    for (const message of this.session?.rest ?? []) this.link?.send(message);
  }

  /** It is another connection. */
  private begin({ resume }: Header): void {
    this.leave();
    if (typeof resume === "string") this.session = new Session(resume, this.queue.mostBytes);
    this.topics.connected((header) => this.tell(header));
  }

  /** The connection from before is gone. */
  private leave(): void {
    this.session = undefined;
    this.topics.disconnected();
    this.queue.again(this.requests.disconnected());
  }

  private refused({ request, code, message }: Header): void {
    const failure = new Failure(String(code), String(message));
    if (this.tokens.refused(request, (header) => this.tell(header))) return this.emitter.emit("error", failure);
    if (this.requests.reject(request as number, failure)) return;
    if (this.topics.refused(request, failure) && failure.code !== "closing") this.emitter.emit("error", failure);
  }

  private sendOrKeep(waiting: Waiting): void {
    this.checkOpen();
    // What is sent to a host that is about to close the connection, it does not read.
    if (this.state !== "open" || this.closing || !this.link) return this.queue.push(waiting);
    const unsent = this.link.unsentBytes;
    if (unsent && unsent + size(waiting.data) > this.queue.mostBytes) throw full();
    this.write(waiting);
  }

  private write({ data, request }: Waiting): void {
    this.transmit(encode(request === undefined ? undefined : { type: "request", request }, data));
    if (request !== undefined) this.requests.sent(request);
  }

  private tell(header: Header): void {
    this.transmit(encode(header, ""));
  }

  private transmit(message: Encoded): void {
    if (this.session?.add(message) === false) {
      this.session = undefined;
      // Without a connection, what was sent on the one before is lost.
      if (this.state !== "open") this.leave();
    }
    if (this.state !== "open") return;
    this.link?.send(message);
    if (this.session?.ask()) this.beat({ reply: true });
  }

  /** Say that the client is there, and what has arrived. With `reply`, the host does the same. */
  private beat(more: Header = {}): void {
    const { received } = this.session ?? {};
    this.link?.send(encode({ type: "heartbeat", received, ...more }, ""));
  }

  private ended(code: number, reason: string): void {
    // A listener for errors may have closed the client.
    if (this.isClosed()) return;
    const { closing, state } = this;
    const wasOpen = state === "open";
    this.link = this.closing = this.connection = undefined;
    // A connection that the host has closed does not go on.
    if (closing || !this.session) this.leave();
    this.tokens.disconnected();
    const isOver = closing?.reconnect === false || code === UNAUTHORIZED;
    // Another token may do.
    if (isOver && !(code === UNAUTHORIZED && this.options.token)) return this.finish(code, reason);
    const after = closing?.after as number | undefined;
    const next = this.backoff.next(after);
    this.notBefore = this.environment.now() + (after ?? 0);
    this.wait(next.delay);
    if (wasOpen) this.emitter.emit("close", { code, reason, reconnect: true, unsent: 0 });
    // A listener may have closed the client.
    if (this.state === "waiting") this.emitter.emit("reconnecting", next);
  }

  private wait(delay: number): void {
    this.state = "waiting";
    this.stopWaiting = this.environment.after(delay, () => void this.attempt());
  }

  /** There may be a network again, or somebody looks at the page again. */
  private wake(): void {
    if (this.state === "open") return this.checkLink();
    if (this.state !== "waiting") return;
    this.stopWaiting();
    const early = this.notBefore - this.environment.now();
    if (early > 0) this.wait(early);
    else void this.attempt();
  }

  private checkLink(): void {
    this.link?.check();
    // The network may have changed without a word.
    this.beat({ reply: true });
    this.link?.expectSoon(LATENESS);
  }

  private finish(code: number, reason: string): void {
    this.state = "closed";
    this.link = this.session = this.connection = undefined;
    this.stopWaiting();
    this.stopWaking();
    this.tokens.disconnected();
    const unsent = this.queue.take().filter(({ request }) => request === undefined).length;
    this.requests.close();
    this.topics.close();
    this.emitter.emit("close", { code, reason, reconnect: false, unsent });
  }
}

