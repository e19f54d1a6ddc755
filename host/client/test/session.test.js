// A connection that goes on when its network fails.
import assert from "node:assert/strict";
import test from "node:test";
import { client, settled } from "./fake.js";

const TOKEN = "7-000000000000000000000000000000ab";

/** A client with a connection that may go on. */
async function resumable(options) {
  const all = await client(options);
  all.opened = [];
  all.client.on("open", ({ again, resumed }) => all.opened.push({ again, resumed }));
  all.world.socket.connected({ resume: TOKEN });
  return all;
}

/** What a client says in its handshake. */
const known = ({ protocols }) => JSON.parse(Buffer.from(protocols[1].slice("hassock.v1.".length), "base64url"));

async function lose(world) {
  const before = world.sockets.length;
  world.socket.end();
  while (world.sockets.length === before) await world.pass(100);
  return world.socket;
}

const texts = (frames) => frames.map(({ header, payload }) => (header ? header.type : payload));

test("what has not arrived is sent again, in its order", async () => {
  const { world, client: own, opened } = await resumable();
  for (const text of ["a", "b", "c"]) own.send(text);
  assert.deepEqual(texts(world.socket.take()), ["a", "b", "c"]);
  world.socket.say({ type: "heartbeat", received: 1 });
  assert.deepEqual(world.socket.take()[0].header, { type: "heartbeat", received: 0 });
  for (const text of ["one", "two"]) world.socket.say(undefined, text);
  world.socket.say({ topic: "news" }, "three");
  const socket = await lose(world);
  assert.deepEqual(known(socket), { resume: TOKEN, received: 3 });
  own.send("d");
  const other = TOKEN.replace("ab", "cd");
  socket.connected({ resume: other, resumed: true, received: 2 });
  assert.deepEqual(texts(socket.take()), ["c", "d"]);
  assert.deepEqual(opened, [
    { again: false, resumed: false },
    { again: true, resumed: true },
  ]);
  // It goes on counting, and may be lost again at once.
  socket.say(undefined, "four");
  const last = await lose(world);
  assert.deepEqual(known(last), { resume: other, received: 4 }, "each socket has another token");
  last.connected({ resume: TOKEN, resumed: true, received: 2 });
  assert.deepEqual(texts(last.take()), ["c", "d"]);
});

test("requests and subscriptions go on", async () => {
  const { world, client: own, events } = await resumable();
  const messages = [];
  const subscription = own.subscribe("news", (text) => messages.push(text));
  const answer = own.request("why");
  const [{ header: subscribe }, { header: request }] = world.socket.take();
  world.socket.say({ type: "subscribed", topic: "news", request: subscribe.request, was_recovering: false, recovered: false });
  await subscription.ready;
  const socket = await lose(world);
  // While there is no network.
  const late = own.subscribe("late", () => {});
  socket.connected({ resume: TOKEN, resumed: true, received: 1 });
  const again = socket.take();
  assert.deepEqual(again.map(({ header }) => header.topic ?? header.request), [request.request, "late"]);
  socket.say({ topic: "news" }, "hello");
  socket.say({ type: "reply", request: request.request }, "because");
  const number = again[1].header.request;
  socket.say({ type: "subscribed", topic: "late", request: number, was_recovering: false, recovered: false });
  assert.equal(await answer, "because");
  await late.ready;
  assert.deepEqual(messages, ["hello"]);
  assert.deepEqual(events.filter(([kind]) => !["close", "reconnecting"].includes(kind)), []);
});

test("another connection begins anew", async () => {
  const { world, client: own, opened } = await resumable();
  own.subscribe("news", () => {});
  const lost = own.request("lost");
  const repeated = own.request("again", { retry: true });
  own.send("lost too");
  world.socket.take();
  const socket = await lose(world);
  socket.connected({ resume: TOKEN, resumed: false });
  await assert.rejects(lost, { code: "disconnected" });
  const sent = socket.take();
  assert.deepEqual(texts(sent), ["subscribe", "request"]);
  socket.say({ type: "reply", request: sent[1].header.request }, "yes");
  assert.equal(await repeated, "yes");
  assert.equal(opened.at(-1).resumed, false);
});

test("a connection that the host has closed does not go on", async () => {
  const { world, client: own } = await resumable();
  const lost = assert.rejects(own.request("lost"), { code: "disconnected" });
  world.socket.say({ type: "closing", reconnect: true, after: 0 });
  const socket = await lose(world);
  await lost;
  assert.equal(socket.protocols.length, 1);
});

test("the host is asked what has arrived before too much is unsure, and what is too much ends the session", async () => {
  const { world, client: own } = await resumable({ queue: { bytes: 100_000 } });
  const text = "x".repeat(10_000);
  for (let count = 0; count < 8; count++) own.send(text);
  const asked = world.socket.take().filter(({ header }) => header);
  assert.deepEqual(asked.map(({ header }) => header), [{ type: "heartbeat", received: 0, reply: true }]);
  world.socket.say({ type: "heartbeat", received: 8 });
  world.socket.take();
  for (let count = 0; count < 8; count++) own.send(text);
  assert.equal(world.socket.take().filter(({ header }) => header).length, 1, "it is asked again");
  for (let count = 0; count < 3; count++) own.send(text);
  const socket = await lose(world);
  assert.equal(socket.protocols.length, 1, "it does not want the connection again");
  socket.connected({ resume: TOKEN });
  await settled();
  assert.deepEqual(socket.take(), []);
});

test("a client that has given up its connection does not go on with it", async () => {
  const { world, client: own } = await resumable({ queue: { bytes: 1000 } });
  own.send("x".repeat(900));
  const socket = await lose(world);
  assert.equal(socket.protocols.length, 2);
  const subscription = own.subscribe("a topic that does not fit ".repeat(5), () => {});
  socket.connected({ resume: TOKEN, resumed: true, received: 0 });
  assert.deepEqual([socket.isClosed, socket.code, own.state], [true, 1000, "waiting"]);
  await world.pass(1_000);
  assert.equal(world.socket.protocols.length, 1);
  world.socket.connected({ resume: TOKEN });
  const [{ header }] = world.socket.take();
  world.socket.say({ type: "subscribed", topic: header.topic, request: header.request, was_recovering: false, recovered: false });
  await subscription.ready;
});

test("a link that answers in the moment in which it is asked is not dead", async () => {
  const { world } = await resumable();
  await world.wake();
  world.socket.say({ type: "heartbeat", received: 0 });
  await world.pass(11_000);
  assert.equal(world.sockets.length, 1);
});

test("a link that is dead without a word is noticed when the network changes", async () => {
  const { world } = await resumable();
  await world.wake();
  assert.deepEqual(world.socket.take()[0].header, { type: "heartbeat", received: 0, reply: true });
  await world.pass(5_000);
  world.socket.say({ type: "heartbeat", received: 0 });
  await world.pass(6_000);
  assert.equal(world.socket.isClosed, false);
  await world.wake();
  const first = world.socket;
  await world.pass(10_000);
  assert.deepEqual([first.isClosed, first.code], [true, 3008]);
  await world.pass(1_000);
  assert.deepEqual(known(world.socket), { resume: TOKEN, received: 0 });
});
