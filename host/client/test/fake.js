// A world without a network and with a clock that a test moves: what a client does is seen at once.
import { ReconnectingClient } from "../build/modules/client.js";
import { decode } from "../build/modules/framing.js";

/** The side of the host, of one WebSocket. */
export class Socket {
  bufferedAmount = 0;
  /** What the client has sent, taken apart. */
  sent = [];
  isClosed = false;

  constructor(url, protocols) {
    Object.assign(this, { url, protocols });
  }

  send(message) {
    this.sent.push(decode(typeof message === "string" ? message : message.slice().buffer));
  }

  close(code, reason) {
    Object.assign(this, { isClosed: true, code, reason });
  }

  /** Take what the client has sent. */
  take() {
    return this.sent.splice(0);
  }

  /** The host says something. */
  say(header, payload = "") {
    this.onmessage?.({ data: (header ? JSON.stringify(header) : "") + "\n" + payload });
  }

  connected(more = {}) {
    this.say({ type: "connected", connection: 7, heartbeat: 25_000, ...more });
    return this;
  }

  /** The connection ends. */
  end(code = 1006, reason = "") {
    this.onclose?.({ code, reason });
  }
}

export class World {
  sockets = [];
  time = 0;
  timers = new Set();
  wakers = new Set();
  /** What `random` returns. */
  chance = 0.5;
  base = "https://example.org/page";

  constructor() {
    const { sockets } = this;
    this.WebSocket = class extends Socket {
      constructor(url, protocols) {
        super(url, protocols);
        sockets.push(this);
      }
    };
  }

  now = () => this.time;
  random = () => this.chance;

  after = (delay, call) => {
    const timer = { at: this.time + delay, call };
    this.timers.add(timer);
    return () => this.timers.delete(timer);
  };

  onWake = (call) => {
    this.wakers.add(call);
    return () => this.wakers.delete(call);
  };

  async wake() {
    for (const call of [...this.wakers]) call();
    await settled();
  }

  /** Let time pass, and call what is due. */
  async pass(milliseconds) {
    const until = this.time + milliseconds;
    for (;;) {
      const [next] = [...this.timers].filter(({ at }) => at <= until).sort((a, b) => a.at - b.at);
      if (!next) break;
      this.timers.delete(next);
      this.time = next.at;
      next.call();
      await settled();
    }
    this.time = until;
  }

  /** The WebSocket that was opened last. */
  get socket() {
    return this.sockets.at(-1);
  }
}

/** Let everything happen that waits for a promise. */
export const settled = () => new Promise((resolve) => setImmediate(resolve));

/** A client with its world, and all events but `open` in their order. */
export async function client(options = {}, address = () => "wss://example.org/chat") {
  const world = new World();
  const client = new ReconnectingClient(world, address, options);
  const events = [];
  for (const kind of ["close", "reconnecting", "recovered", "gap", "unsubscribed", "message", "error"]) {
    client.on(kind, (event) => events.push([kind, event]));
  }
  await settled();
  return { world, client, events };
}

/** The same, with a connection. */
export async function connected(options) {
  const all = await client(options);
  all.world.socket.connected();
  return all;
}

/** End the connection, and let the client have another one. */
export async function again(world) {
  const before = world.sockets.length;
  world.socket.end();
  while (world.sockets.length === before) await world.pass(100);
  return world.socket.connected();
}
