import type { Emitter } from "./emitter.js";
import { safely } from "./emitter.js";
import { closed, Failure } from "./error.js";
import type { Header } from "./framing.js";
import { distance, position } from "./position.js";
import { present } from "./presence.js";
import { Seen } from "./seen.js";
import { Topic } from "./topic.js";
import type { Gap, Handler, Message, Payload, SubscribeOptions, Subscription } from "./types.js";

/** Of how many topics of the module a client knows the position, beside those that it is subscribed to. */
const MOST_IDLE = 1000;

/** The subscriptions of a client: what the page and the module have subscribed it to, and up to where it has what. */
export class Topics {
  private readonly byName = new Map<string, Topic>();
  private readonly seen = new Seen();
  /** None without a connection. */
  private tell: ((header: Header) => void) | undefined;

  constructor(
    private readonly emitter: Emitter,
    private readonly nextNumber: () => number,
  ) {}

  subscribe(name: string, handler: Handler, { since, rewind }: SubscribeOptions): Subscription {
    if (since !== undefined && !position(since)) {
      throw new Failure("invalid-position", "a position is what a subscription or a message had as `position`");
    }
    const before = this.free(name);
    const isAnew = since !== undefined || rewind !== undefined;
    // A topic of the module goes on where it is, unless the page wants something else.
    const topic = before?.isLive && !isAnew ? before : new Topic(name);
    if (isAnew) {
      this.seen.forget(name);
      topic.position = since;
      topic.rewind = rewind;
      if (before?.isLive) topic.replaces = before;
    }
    const ready = new Promise<void>((resolve, reject) => {
      topic.asked = { resolve, reject };
    });
    // A page that does not wait for it hears of the error as of any other.
    ready.catch(() => {});
    topic.handler = handler;
    this.byName.set(name, topic);
    this.ask(topic);
    return {
      topic: name,
      get position() {
        return topic.position;
      },
      ready,
      unsubscribe: () => this.unsubscribe(topic),
    };
  }

  listen(name: string, handler: Handler): () => void {
    const topic = this.free(name) ?? new Topic(name);
    topic.handler = handler;
    this.byName.set(name, topic);
    return () => {
      if (topic.handler !== handler) return;
      topic.handler = undefined;
      if (topic.isIdle && !topic.isKnown) this.byName.delete(name);
    };
  }

  /** The positions of the topics to which the module subscribes this client, the latest first. */
  positions(): [string, string][] {
    const known: [string, string][] = [];
    for (const { name, asked, position } of this.byName.values()) {
      if (!asked && position !== undefined) known.unshift([name, position]);
    }
    return known;
  }

  connected(tell: (header: Header) => void): void {
    this.tell = tell;
    for (const topic of this.byName.values()) this.ask(topic);
  }

  disconnected(): void {
    this.tell = undefined;
    for (const topic of this.byName.values()) {
      topic.isLive = false;
      topic.request = topic.repeatsUpTo = topic.replaces = topic.members = undefined;
    }
  }

  /** There will be no other connection. */
  close(): void {
    for (const topic of this.byName.values()) topic.asked?.reject(closed());
    this.byName.clear();
  }

  subscribed(header: Header): void {
    const name = String(header.topic);
    const topic = this.byName.get(name) ?? (header.request === undefined ? this.remember(name) : undefined);
    const isAnswer = header.request !== undefined;
    if (!topic) return;
    // An answer to the subscription before this one, or the module's own subscription, which is about to begin again.
    if (isAnswer ? header.request !== topic.request : topic.request !== undefined && !topic.isLive) return;
    const stays = topic.isLive && isAnswer;
    const at = header.position as string | undefined;
    const gap = (header.gap as Gap | undefined) ?? (stays || header.was_recovering ? undefined : missing(topic, at));
    const isBack = topic.isKnown || !!header.was_recovering;
    topic.repeatsUpTo = undefined;
    if (topic.position && at && (distance(at, topic.position) ?? 0) < 0) topic.repeatsUpTo = topic.position;
    else topic.position = at;
    topic.isLive = topic.isKnown = true;
    if (gap) this.emitter.emit("gap", { topic: name, gap });
    else if (isBack && !stays) this.emitter.emit("recovered", { topic: name });
    if (!isAnswer) return;
    topic.request = topic.replaces = undefined;
    topic.asked?.resolve();
  }

  /** The host does not subscribe the client. Returns whether it was a subscription. */
  refused(request: unknown, failure: Failure): boolean {
    for (const topic of this.byName.values()) {
      if (request === undefined || topic.request !== request) continue;
      // The next connection will have it.
      if (failure.code !== "closing") this.refuse(topic, failure);
      return true;
    }
    return false;
  }

  unsubscribed(header: Header): void {
    const topic = this.byName.get(String(header.topic));
    // If the page's subscription is refused, there is none to go back to.
    if (topic) topic.replaces = undefined;
    if (!topic?.isLive) return;
    topic.isLive = topic.isKnown = false;
    topic.position = topic.repeatsUpTo = topic.members = undefined;
    if (topic.asked && topic.request === undefined) {
      this.end(topic, new Failure("unsubscribed", "the module has ended the subscription"));
      this.emitter.emit("unsubscribed", { topic: topic.name });
    } else if (topic.isIdle) {
      this.byName.delete(topic.name);
    }
  }

  gap(header: Header): void {
    const name = String(header.topic);
    if (this.byName.get(name)?.isLive) this.emitter.emit("gap", { topic: name, gap: header.gap as Gap });
  }

  presence(header: Header): void {
    const topic = this.byName.get(String(header.topic));
    if (topic?.isLive) this.emitter.emit("presence", present(topic, header));
  }

  /** The client has everything up to a position. */
  position(header: Header): void {
    const topic = this.byName.get(String(header.topic));
    if (topic?.isLive) advance(topic, header.position as string);
  }

  message(header: Header, data: Payload): void {
    const topic = this.byName.get(String(header.topic));
    if (!topic?.isLive) return;
    const message: Message = { data, topic: topic.name };
    if (header.position !== undefined) {
      message.position = String(header.position);
      if (!advance(topic, message.position)) return;
    }
    if (header.id !== undefined) {
      message.id = String(header.id);
      if (!this.seen.add(topic.name, message.id)) return;
    }
    if (topic.handler) safely(topic.handler, data, message);
    else this.emitter.emit("message", message);
  }

  /** The topic, if the client knows it and the page has no use for it yet. Throws `subscribed`. */
  private free(name: string): Topic | undefined {
    const topic = this.byName.get(name);
    if (topic?.handler) throw new Failure("subscribed", `the page takes the messages of \`${name}\` already`);
    return topic;
  }

  /** The module has subscribed the client to a topic that is new to it. */
  private remember(name: string): Topic {
    const topic = new Topic(name);
    this.byName.set(name, topic);
    const idle = [...this.byName.values()].filter((other) => other.isIdle && other !== topic);
    for (const { name } of idle.slice(0, -MOST_IDLE)) this.byName.delete(name);
    return topic;
  }

  private ask(topic: Topic): void {
    if (!topic.asked || !this.tell) return;
    const { name, position, isLive, isKnown, rewind } = topic;
    topic.request = this.nextNumber();
    const header: Header = { type: "subscribe", request: topic.request, topic: name };
    if (position !== undefined && !isLive) header.since = position;
    else if (rewind !== undefined && !isKnown) header.last = rewind;
    this.tell(header);
  }

  private unsubscribe(topic: Topic): void {
    if (this.byName.get(topic.name) !== topic || !topic.asked) return;
    this.byName.delete(topic.name);
    topic.asked.reject(new Failure("closed", "the page has ended the subscription"));
    this.tell?.({ type: "unsubscribe", topic: topic.name });
  }

  /** The page does not get a topic. If the module has subscribed the client to it, that is as before. */
  private refuse(topic: Topic, failure: Failure): void {
    this.end(topic, failure);
    const { replaces, name } = topic;
    const stays = topic.isLive ? topic : replaces;
    if (!stays) return;
    stays.asked = stays.handler = stays.request = undefined;
    this.byName.set(name, stays);
    // What came meanwhile was not for the page's subscription.
    if (replaces) this.emitter.emit("gap", { topic: name, gap: "skipped" });
  }

  private end(topic: Topic, failure: Failure): void {
    topic.asked?.reject(failure);
    this.byName.delete(topic.name);
  }
}

/** Note up to where the page has the messages. Returns whether it did not have them. */
function advance(topic: Topic, to: string): boolean {
  if (topic.repeatsUpTo !== undefined) {
    if ((distance(to, topic.repeatsUpTo) ?? 1) <= 0) return false;
    topic.repeatsUpTo = undefined;
  }
  topic.position = to;
  return true;
}

/** Why something may be missing, if a subscription begins at a position without regard to where the page was. */
function missing({ isKnown, position }: Topic, at: string | undefined): Gap | undefined {
  if (!isKnown) return undefined;
  if (!at || !position) return "none";
  const ahead = distance(at, position);
  if (ahead === undefined) return "restart";
  return ahead > 0 ? "skipped" : undefined;
}
