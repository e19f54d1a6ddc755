import assert from "node:assert/strict";
import test from "node:test";
import { again, client, connected } from "./fake.js";

test("a client offers the protocol, and says when there is a connection", async () => {
  const { world, client: own, events } = await client({ protocols: ["chat"] });
  const opened = [];
  own.on("open", (event) => opened.push(event));
  assert.deepEqual(world.socket.protocols, ["hassock.v1", "chat"]);
  assert.equal(own.state, "connecting");
  world.socket.connected({ subprotocol: "chat" });
  assert.deepEqual([own.state, own.connection], ["open", 7]);
  world.socket.end();
  assert.deepEqual([own.state, own.connection], ["waiting", undefined]);
  await world.pass(500);
  world.socket.connected();
  assert.deepEqual(opened, [
    { connection: 7, subprotocol: "chat", again: false, resumed: false },
    { connection: 7, subprotocol: undefined, again: true, resumed: false },
  ]);
  assert.deepEqual(events, [
    ["close", { code: 1006, reason: "", reconnect: true, unsent: 0 }],
    ["reconnecting", { attempt: 1, delay: 250 }],
  ]);
});

test("the wait is random and grows up to a bound, until a connection has lasted", async () => {
  const { world, events } = await client();
  const fail = async () => {
    world.socket.end();
    const [kind, { attempt, delay }] = events.at(-1);
    assert.equal(kind, "reconnecting");
    const before = world.sockets.length;
    await world.pass(delay - 1);
    assert.equal(world.sockets.length, before);
    await world.pass(1);
    assert.equal(world.sockets.length, before + 1);
    return [attempt, delay];
  };
  assert.deepEqual(await fail(), [1, 250]);
  assert.deepEqual(await fail(), [2, 500]);
  world.chance = 0.999;
  assert.deepEqual(await fail(), [3, 1998]);
  for (let attempt = 4; attempt < 12; attempt++) await fail();
  assert.deepEqual(await fail(), [12, 29_970]);
  // A connection that breaks soon is no better than none.
  world.socket.connected();
  await world.pass(9_999);
  assert.deepEqual(await fail(), [13, 29_970]);
  world.socket.connected();
  await world.pass(10_000);
  assert.deepEqual(await fail(), [1, 500]);
});

test("options bound the wait", async () => {
  const { world, events } = await client({ backoff: { base: 10, cap: 15 } });
  for (const delay of [5, 8, 8]) {
    world.socket.end();
    assert.equal(events.at(-1)[1].delay, delay);
    await world.pass(delay);
  }
});

test("the host says when to come back", async () => {
  const { world, client: own, events } = await connected();
  await world.pass(10_000);
  world.socket.say({ type: "closing", reconnect: true, after: 5000 });
  assert.equal(own.state, "open");
  world.socket.end(1013, "busy");
  assert.deepEqual(events.at(-1), ["reconnecting", { attempt: 1, delay: 5250 }]);
  // Even if the page is seen again.
  await world.wake();
  await world.pass(4999);
  assert.equal(world.sockets.length, 1);
  await world.pass(1);
  assert.equal(world.sockets.length, 2);
});

test("a client that shall come back at once does, but not in a loop", async () => {
  const { world, events } = await connected();
  for (const delay of [0, 500, 1000]) {
    world.socket.say({ type: "closing", reconnect: true, after: 0 });
    world.socket.end(1012);
    assert.equal(events.at(-1)[1].delay, delay);
    await world.pass(delay);
    world.socket.connected();
  }
});

test("the host may not want a client back", async () => {
  const { world, client: own, events } = await connected();
  world.socket.say({ type: "closing", reconnect: false, after: 0 });
  own.send("too late");
  world.socket.end(4403, "go away");
  assert.deepEqual(events, [["close", { code: 4403, reason: "go away", reconnect: false, unsent: 1 }]]);
  assert.equal(own.state, "closed");
  assert.throws(() => own.send("x"), { code: "closed", name: "HassockError" });
  assert.throws(() => own.subscribe("x", () => {}), { code: "closed" });
  await world.wake();
  await world.pass(600_000);
  assert.deepEqual([world.sockets.length, world.timers.size, world.wakers.size], [1, 0, 0]);
});

test("a client that the page closes stays closed", async () => {
  for (const state of ["connecting", "open", "waiting"]) {
    const { world, client: own, events } = await client();
    if (state === "open") world.socket.connected();
    if (state === "waiting") world.socket.end();
    assert.equal(own.state, state);
    own.close(4000, "bye");
    own.close();
    assert.deepEqual(events.at(-1), ["close", { code: 4000, reason: "bye", reconnect: false, unsent: 0 }]);
    assert.equal(world.socket.isClosed, state !== "waiting");
    await world.pass(600_000);
    assert.deepEqual([world.sockets.length, world.timers.size], [1, 0]);
  }
});

test("a client is not closed with what a WebSocket refuses", async () => {
  const wrong = [[1001], [999], [2999], [5000], [NaN], [1000, "x".repeat(124)], [3000, "é".repeat(62)]];
  for (const state of ["connecting", "open", "waiting", "closed"]) {
    const { world, client: own, events } = await client();
    if (state === "open") world.socket.connected();
    if (state === "waiting") world.socket.end();
    if (state === "closed") own.close();
    const before = [...events];
    for (const how of wrong) assert.throws(() => own.close(...how), RangeError);
    assert.deepEqual([own.state, world.socket.isClosed, events], [state, state === "closed", before]);
    if (state === "closed") continue;
    // It goes on.
    await world.pass(500);
    world.socket.connected().say(undefined, "hello");
    assert.deepEqual(events.at(-1), ["message", { data: "hello" }]);
    own.close(4999, "é".repeat(61) + "x");
    assert.deepEqual([own.state, world.timers.size], ["closed", 0]);
  }
});

test("a listener may close the client when there is no token", async () => {
  let calls = 0;
  const token = () => {
    if (++calls > 1) throw new Error("logged out");
    return "t";
  };
  const { world, client: own, events } = await client({ token });
  own.on("error", () => own.close());
  world.socket.connected().end();
  await world.pass(600_000);
  assert.deepEqual([own.state, calls, world.sockets.length, world.timers.size], ["closed", 2, 1, 0]);
  assert.deepEqual(events.slice(2).map(([kind, { reconnect }]) => [kind, reconnect]), [
    ["error", undefined],
    ["close", false],
  ]);
});

test("a listener may close the client", async () => {
  const { world, client: own, events } = await connected();
  own.on("close", () => own.close());
  world.socket.end();
  await world.pass(600_000);
  assert.equal(world.sockets.length, 1);
  assert.deepEqual(events.map(([kind]) => kind), ["close", "close"]);
});

test("a network that is there again is used at once", async () => {
  const { world } = await client();
  world.socket.end();
  await world.wake();
  assert.equal(world.sockets.length, 2);
  await world.pass(10_000);
  // The wait that was cut short is over.
  assert.equal(world.sockets.length, 2);
});

test("a host that says nothing is left", async () => {
  const { world, client: own, events } = await connected();
  await world.pass(34_999);
  world.socket.say({ type: "heartbeat" });
  assert.deepEqual(world.socket.take(), [{ header: { type: "heartbeat" }, payload: "" }]);
  await world.pass(34_999);
  assert.equal(own.state, "open");
  await world.pass(1);
  assert.equal(own.state, "waiting");
  assert.equal(world.sockets[0].isClosed, true);
  assert.equal(events[0][1].reason, "nothing came for too long");
  // What the first connection still says is of no interest, and neither is its end.
  world.sockets[0].say(undefined, "late");
  world.sockets[0].end();
  assert.deepEqual(events.map(([kind]) => kind), ["close", "reconnecting"]);
});

test("a page that sleeps notices at once that its connection is gone", async () => {
  const { world, client: own } = await connected();
  // No timer has been called meanwhile.
  world.time += 35_000;
  await world.wake();
  assert.equal(own.state, "waiting");
});

test("an attempt that hangs is given up", async () => {
  const { world, client: own } = await client({ connectTimeout: 3000 });
  await world.pass(2999);
  assert.equal(own.state, "connecting");
  await world.pass(1);
  assert.equal(own.state, "waiting");
  assert.equal(world.socket.isClosed, true);
});

test("an address may be made for each attempt, and the attempt may fail there", async () => {
  let attempts = 0;
  const address = async () => {
    attempts += 1;
    if (attempts === 2) throw new Error("no token");
    return `wss://example.org/?token=${attempts}`;
  };
  const { world, events } = await client({}, address);
  assert.equal(world.socket.url, "wss://example.org/?token=1");
  world.socket.end();
  await world.pass(250);
  assert.match(events.at(-2)[1].message, /no token/);
  assert.equal(events.at(-2)[1].code, "url");
  assert.deepEqual(events.at(-1), ["reconnecting", { attempt: 2, delay: 500 }]);
  await world.pass(500);
  assert.equal(world.socket.url, "wss://example.org/?token=3");
});

test("what is not understood is ignored", async () => {
  const { world, client: own, events } = await connected();
  world.socket.say({ type: "dance", speed: 1 });
  world.socket.say({ type: "reply", request: 99 });
  world.socket.say({ type: "error", request: 99, code: "refused", message: "" });
  assert.deepEqual(events, []);
  world.socket.onmessage({ data: "no header" });
  assert.equal(events[0][1].code, "protocol");
  assert.equal(own.state, "open");
});

test("a listener that throws harms nobody, and the page hears of it", async (context) => {
  const { world, client: own, events } = await connected();
  // The runner would take an error that nobody catches for one of its own.
  const later = context.mock.method(globalThis, "setTimeout", () => {});
  const stop = own.on("message", () => {
    throw new Error("of the page");
  });
  world.socket.say(undefined, "one");
  stop();
  world.socket.say(undefined, "two");
  const [thrown] = later.mock.calls.map(({ arguments: [call] }) => call);
  later.mock.restore();
  assert.throws(thrown, { message: "of the page" });
  assert.deepEqual(events, [["message", { data: "one" }], ["message", { data: "two" }]]);
});

test("the parts of the library leave nothing behind over many connections", async () => {
  const { world, client: own } = await connected();
  for (let round = 0; round < 50; round++) await again(world);
  assert.equal(own.state, "open");
  assert.deepEqual([world.timers.size, world.wakers.size], [1, 1]);
});
