import assert from "node:assert/strict";
import test from "node:test";
import { NAME } from "../build/modules/offer.js";
import { again, client, connected } from "./fake.js";

/** What a client has subscribed to, as the host reads it. */
const subscriptions = (socket) => socket.take().map(({ header }) => header).filter(({ type }) => type === "subscribe");

/** The positions that a handshake offers. */
const offered = ({ protocols }) =>
  protocols[1] && JSON.parse(Buffer.from(protocols[1].slice(NAME.length + 1), "base64url").toString()).since;

const subscribed = (socket, more) =>
  socket.say({ type: "subscribed", topic: "room", was_recovering: false, recovered: false, ...more });

const publish = (socket, offset, more = {}) =>
  socket.say({ topic: "room", position: `a-${offset}`, ...more }, String(offset));

/** A page that is subscribed to `room`, and what it gets. */
async function page(options) {
  const all = await connected();
  const got = [];
  const subscription = all.client.subscribe("room", (data) => got.push(data), options);
  const [{ request }] = subscriptions(all.world.socket);
  subscribed(all.world.socket, { request, position: "a-10" });
  await subscription.ready;
  return { ...all, got, subscription };
}

/** A client that the module has subscribed to `room`. */
async function guest() {
  const all = await connected();
  const got = [];
  all.client.listen("room", (data) => got.push(data));
  subscribed(all.world.socket, { position: "a-10" });
  return { ...all, got };
}

test("a page gets what is published to its topic", async () => {
  const { world, events, got, subscription, client: own } = await page();
  assert.equal(subscription.position, "a-10");
  const messages = [];
  own.on("message", (message) => messages.push(message));
  publish(world.socket, 12, { id: "x" });
  world.socket.say({ topic: "room" }, "not kept");
  world.socket.say(undefined, "plain");
  world.socket.say({ topic: "other" }, "left over");
  assert.deepEqual(got, ["12", "not kept"]);
  assert.equal(subscription.position, "a-12");
  assert.deepEqual(messages, [{ data: "plain" }]);
  assert.deepEqual(events, [["message", { data: "plain" }]]);
});

test("a handler learns where a message is and what it is called", async () => {
  const { world, client: own } = await connected();
  const got = [];
  own.subscribe("room", (data, message) => got.push([data, message]));
  const [{ request }] = subscriptions(world.socket);
  subscribed(world.socket, { request, position: "a-1" });
  publish(world.socket, 2, { id: "x" });
  assert.deepEqual(got, [["2", { data: "2", topic: "room", position: "a-2", id: "x" }]]);
});

test("a page subscribes again where it was, and learns that nothing is missing", async () => {
  const { world, events, got } = await page({ rewind: 5 });
  publish(world.socket, 11);
  const socket = await again(world);
  assert.equal(offered(socket), undefined);
  const [header] = subscriptions(socket);
  assert.deepEqual(header, { type: "subscribe", request: header.request, topic: "room", since: "a-11" });
  subscribed(socket, { request: header.request, position: "a-11", was_recovering: true, recovered: true });
  publish(socket, 14);
  assert.deepEqual(got, ["11", "14"]);
  assert.deepEqual(events.at(-1), ["recovered", { topic: "room" }]);
});

test("a subscription may begin in the past", async () => {
  const { world, client: own } = await client();
  own.subscribe("a", () => {}, { rewind: 20 });
  own.subscribe("b", () => {}, { since: "a-3" });
  own.subscribe("c", () => {});
  const sent = subscriptions(world.socket.connected());
  assert.deepEqual(sent.map(({ since, last }) => [since, last]), [[undefined, 20], ["a-3", undefined], [undefined, undefined]]);
});

test("what is missing is told before what follows, with the reason", async () => {
  for (const gap of ["count", "age", "bytes"]) {
    const { world, events, got } = await page();
    const socket = await again(world);
    const [{ request }] = subscriptions(socket);
    subscribed(socket, { request, position: "a-20", was_recovering: true, recovered: false, gap });
    assert.deepEqual(events.at(-1), ["gap", { topic: "room", gap }]);
    publish(socket, 21);
    socket.say({ type: "gap", topic: "room", gap: "bytes" });
    assert.deepEqual(events.at(-1), ["gap", { topic: "room", gap: "bytes" }]);
    assert.deepEqual(got, ["21"]);
    // The next position is that of what came.
    assert.equal(subscriptions(await again(world))[0].since, "a-21");
  }
});

test("after a restart of the host, offsets begin anew", async () => {
  const { world, events, got } = await page();
  const socket = await again(world);
  const [{ request }] = subscriptions(socket);
  subscribed(socket, { request, position: "b-0", was_recovering: true, recovered: false, gap: "restart" });
  socket.say({ topic: "room", position: "b-1" }, "first");
  assert.deepEqual(got, ["first"]);
  assert.deepEqual(events.at(-1), ["gap", { topic: "room", gap: "restart" }]);
});

test("a topic without a history has a gap whenever the client was away", async () => {
  const { world, client: own, events } = await connected();
  own.subscribe("room", () => {}, { rewind: 3 });
  subscribed(world.socket, subscriptions(world.socket)[0] && { request: 1 });
  const socket = await again(world);
  const [header] = subscriptions(socket);
  assert.deepEqual([header.since, header.last], [undefined, undefined]);
  subscribed(socket, { request: header.request });
  assert.deepEqual(events.at(-1), ["gap", { topic: "room", gap: "none" }]);
});

test("a client says in its handshake where it is in topics of the module", async () => {
  const { world, events, got } = await guest();
  publish(world.socket, 11);
  const socket = await again(world);
  assert.deepEqual(offered(socket), { room: "a-11" });
  assert.deepEqual(subscriptions(socket), []);
  subscribed(socket, { position: "a-11", was_recovering: true, recovered: true });
  publish(socket, 12);
  assert.deepEqual(got, ["11", "12"]);
  assert.deepEqual(events.at(-1), ["recovered", { topic: "room" }]);
});

test("a module that begins with the last messages repeats some, and the page gets them once", async () => {
  const { world, events, got } = await guest();
  publish(world.socket, 11);
  publish(world.socket, 12);
  const socket = await again(world);
  subscribed(socket, { position: "a-10" });
  for (const offset of [11, 12, 13, 14]) publish(socket, offset);
  assert.deepEqual(got, ["11", "12", "13", "14"]);
  assert.deepEqual(events.at(-1), ["recovered", { topic: "room" }]);
});

test("a module that begins later than where the client was leaves a gap", async () => {
  const { world, events, got } = await guest();
  const socket = await again(world);
  subscribed(socket, { position: "a-15" });
  publish(socket, 16);
  assert.deepEqual(events.at(-1), ["gap", { topic: "room", gap: "skipped" }]);
  assert.deepEqual(got, ["16"]);
});

test("a subscription that begins again on one connection repeats nothing", async () => {
  const { world, events, got } = await guest();
  for (const offset of [11, 12]) publish(world.socket, offset);
  subscribed(world.socket, { position: "a-10" });
  for (const offset of [11, 12, 13]) publish(world.socket, offset);
  assert.deepEqual(got, ["11", "12", "13"]);
  assert.deepEqual(events, [["recovered", { topic: "room" }]]);
});

test("a client that is left out of a message has it already", async () => {
  const { world } = await guest();
  world.socket.say({ type: "position", topic: "room", position: "a-13" });
  assert.deepEqual(offered(await again(world)), { room: "a-13" });
});

test("an id is delivered once, also after a restart of the host", async () => {
  const { world, got } = await page();
  publish(world.socket, 11, { id: "x" });
  publish(world.socket, 12, { id: "x" });
  const socket = await again(world);
  const [{ request }] = subscriptions(socket);
  subscribed(socket, { request, position: "b-0", was_recovering: true, recovered: false, gap: "restart" });
  socket.say({ topic: "room", position: "b-1", id: "x" }, "again");
  socket.say({ topic: "room", position: "b-2", id: "y" }, "new");
  assert.deepEqual(got, ["11", "new"]);
  // What was dropped was received.
  assert.equal(subscriptions(await again(world))[0].since, "b-2");
});

test("the last thousand ids are remembered", async () => {
  const { world, got } = await page();
  for (let id = 0; id <= 1000; id++) publish(world.socket, 11 + id, { id: String(id) });
  publish(world.socket, 2000, { id: "1" });
  publish(world.socket, 2001, { id: "0" });
  assert.equal(got.length, 1002);
  assert.equal(got.at(-1), "2001");
});

test("the page may take over a topic of the module where it is", async () => {
  const { world, client: own, events } = await connected();
  subscribed(world.socket, { position: "a-10" });
  publish(world.socket, 11);
  const got = [];
  const { ready } = own.subscribe("room", (data) => got.push(data));
  publish(world.socket, 12);
  const [header] = subscriptions(world.socket);
  assert.equal(header.since, undefined);
  subscribed(world.socket, { request: header.request, position: "a-12" });
  await ready;
  publish(world.socket, 13);
  assert.deepEqual(got, ["12", "13"]);
  assert.deepEqual(events.map(([kind, { data }]) => [kind, data]), [["message", "11"]]);
});

test("a page that wants the past of a topic of the module gets each message once", async () => {
  const { world, client: own } = await connected();
  subscribed(world.socket, { position: "a-10" });
  publish(world.socket, 11, { id: "x" });
  const got = [];
  own.subscribe("room", (data) => got.push(data), { rewind: 2 });
  // Of the module's subscription; the host has not read yet what the page wants.
  publish(world.socket, 12);
  const [{ request }] = subscriptions(world.socket);
  subscribed(world.socket, { request, position: "a-9" });
  publish(world.socket, 10);
  publish(world.socket, 11, { id: "x" });
  publish(world.socket, 12);
  publish(world.socket, 13);
  assert.deepEqual(got, ["10", "11", "12", "13"]);
});

test("both the module and the page may subscribe at each connection", async () => {
  const { world, got } = await page();
  publish(world.socket, 11);
  const socket = await again(world);
  const [{ request }] = subscriptions(socket);
  subscribed(socket, { position: "a-12" });
  publish(socket, 13);
  subscribed(socket, { request, position: "a-11", was_recovering: true, recovered: true });
  for (const offset of [12, 13, 14]) publish(socket, offset);
  assert.deepEqual(got, ["11", "12", "13", "14"]);
});

test("a subscription that is refused is an error, and is not tried again", async () => {
  for (const code of ["refused", "not-supported", "too-many-topics", "invalid-topic"]) {
    const { world, client: own, events } = await connected();
    const { ready } = own.subscribe("room", () => {});
    const [{ request }] = subscriptions(world.socket);
    world.socket.say({ type: "error", request, code, message: "no" });
    await assert.rejects(ready, { code, message: "no" });
    assert.deepEqual(events.map(([kind, error]) => [kind, error.code]), [["error", code]]);
    assert.deepEqual(subscriptions(await again(world)), []);
  }
});

test("a subscription that comes while the host closes is tried again", async () => {
  const { world, client: own, events } = await connected();
  own.subscribe("room", () => {});
  const [{ request }] = subscriptions(world.socket);
  world.socket.say({ type: "error", request, code: "closing", message: "" });
  assert.deepEqual(events, []);
  assert.equal(subscriptions(await again(world)).length, 1);
});

test("a page whose subscription is refused still has that of the module", async () => {
  const { world, client: own, events } = await connected();
  subscribed(world.socket, { position: "a-10" });
  own.subscribe("room", () => assert.fail("refused"), { since: "a-3" });
  publish(world.socket, 11);
  const [{ request }] = subscriptions(world.socket);
  world.socket.say({ type: "error", request, code: "refused", message: "no" });
  publish(world.socket, 12);
  assert.deepEqual(events.map(([kind, { gap, code, data }]) => [kind, gap ?? code ?? data]), [
    ["gap", "skipped"],
    ["error", "refused"],
    ["message", "12"],
  ]);
});

test("a page whose subscription is refused has nothing if the module has ended its own", async () => {
  const { world, client: own, events } = await connected();
  subscribed(world.socket, { position: "a-10" });
  own.subscribe("room", () => assert.fail("refused"), { since: "a-3" });
  const [{ request }] = subscriptions(world.socket);
  world.socket.say({ type: "unsubscribed", topic: "room" });
  world.socket.say({ type: "error", request, code: "refused", message: "no" });
  publish(world.socket, 11);
  assert.deepEqual(events.map(([kind, { code }]) => [kind, code]), [["error", "refused"]]);
  assert.equal(offered(await again(world)), undefined);
});

test("a page unsubscribes, and subscribes again, without what was left over", async () => {
  const { world, client: own, got, subscription } = await page();
  subscription.unsubscribe();
  publish(world.socket, 11);
  const anew = [];
  own.subscribe("room", (data) => anew.push(data));
  publish(world.socket, 12);
  const sent = world.socket.take().map(({ header }) => header);
  assert.deepEqual(sent.map(({ type }) => type), ["unsubscribe", "subscribe"]);
  world.socket.say({ type: "unsubscribed", topic: "room" });
  subscribed(world.socket, { request: sent[1].request, position: "a-12" });
  publish(world.socket, 13);
  assert.deepEqual([got, anew], [[], ["13"]]);
  subscription.unsubscribe();
  assert.deepEqual(world.socket.take(), []);
});

test("an answer to a subscription before the last one is ignored", async () => {
  const { world, client: own } = await connected();
  const got = [];
  own.subscribe("room", () => assert.fail("ended")).unsubscribe();
  own.subscribe("room", (data) => got.push(data));
  const [first, second] = subscriptions(world.socket);
  subscribed(world.socket, { request: first.request, position: "a-1" });
  publish(world.socket, 2);
  world.socket.say({ type: "unsubscribed", topic: "room" });
  subscribed(world.socket, { request: second.request, position: "a-2" });
  publish(world.socket, 3);
  assert.deepEqual(got, ["3"]);
});

test("a page that unsubscribes without a connection is not subscribed again", async () => {
  const { world, subscription } = await page();
  world.socket.end();
  subscription.unsubscribe();
  await world.pass(60_000);
  assert.deepEqual(world.socket.connected().take(), []);
});

test("the module may end a subscription", async () => {
  const { world, events, got } = await page();
  world.socket.say({ type: "unsubscribed", topic: "room" });
  publish(world.socket, 11);
  assert.deepEqual(events, [["unsubscribed", { topic: "room" }]]);
  assert.deepEqual(got, []);
  assert.deepEqual(subscriptions(await again(world)), []);
});

test("a topic that the module has ended is not offered any more", async () => {
  const { world, client: own, events } = await guest();
  world.socket.say({ type: "unsubscribed", topic: "room" });
  const socket = await again(world);
  assert.equal(offered(socket), undefined);
  // It begins anew.
  subscribed(socket, { position: "a-20" });
  assert.deepEqual(events.map(([kind]) => kind), ["close", "reconnecting"]);
  assert.throws(() => own.listen("room", () => {}), { code: "subscribed" });
});

test("a page that does not listen any more gets messages as events", async () => {
  const { world, client: own, events } = await connected();
  const stop = own.listen("room", () => assert.fail("stopped"));
  stop();
  subscribed(world.socket, { position: "a-10" });
  publish(world.socket, 11);
  assert.deepEqual(events, [["message", { data: "11", topic: "room", position: "a-11" }]]);
});

test("topics that a page listens to in vain are forgotten", async () => {
  const { world, client: own, events } = await connected();
  for (let topic = 0; topic < 2000; topic++) own.listen(`topic ${topic}`, () => {})();
  const stop = own.listen("ended", () => {});
  subscribed(world.socket, { topic: "ended", position: "a-1" });
  world.socket.say({ type: "unsubscribed", topic: "ended" });
  stop();
  assert.equal(own.topics.byName.size, 0);
  // One that the client had is not forgotten: it would not learn that something is missing.
  const stopKnown = own.listen("known", () => {});
  subscribed(world.socket, { topic: "known" });
  world.socket.end();
  stopKnown();
  await world.pass(500);
  subscribed(world.socket.connected(), { topic: "known" });
  assert.deepEqual(events.at(-1), ["gap", { topic: "known", gap: "none" }]);
});

test("the topics that a module once had are bounded", async () => {
  const { world, client: own } = await connected();
  for (let topic = 0; topic < 3000; topic++) {
    subscribed(world.socket, { topic: `topic ${topic}`, position: "a-1" });
    if (topic % 500 === 499) await again(world);
  }
  assert.equal(own.topics.byName.size, 1000 + 500);
  // The latest are the most important.
  assert.equal(Object.keys(offered(world.socket))[0], "topic 2999");
});

test("a client offers as many positions as there is room for beside its token", async () => {
  const header = async (token, resume) => {
    const { world } = await client({ token: () => token });
    world.socket.connected({ resume });
    for (let topic = 0; topic < 300; topic++) subscribed(world.socket, { topic: `topic ${topic}`, position: "a-1" });
    world.socket.end();
    await world.pass(500);
    return [world.socket.protocols[1].length, Object.keys(offered(world.socket) ?? {}).length];
  };
  const [small, all] = await header("t", undefined);
  assert.ok(small > 4000 && small < 4200, `${small} characters`);
  for (const resume of [undefined, "r".repeat(600)]) {
    const [large, some] = await header("t".repeat(7000), resume);
    assert.ok(large > 12_200 && large < 12_320, `${large} characters`);
    assert.ok(some > 0 && some < all, `${some} positions`);
  }
  // It is as long as the token makes it.
  assert.deepEqual(await header("t".repeat(10_000), undefined), [13_361, 0]);
});

test("a page knows who is there, as far as the host tells it", async () => {
  const { world, client: own } = await guest();
  const got = [];
  own.on("presence", ({ count, members, joined, left }) => got.push([count, members?.map(({ data }) => data), joined.length, left]));
  const tell = (socket, presence) => socket.say({ type: "presence", topic: "room", ...presence });
  const member = (connection, data) => ({ connection, data });
  tell(world.socket, { count: 2, members: [member(7, "a"), member(8, "b")] });
  tell(world.socket, { count: 2, joined: [member(9, "c"), member(8, "B")], left: [7, 99] });
  tell(world.socket, { count: 300 });
  tell(world.socket, { count: 299, left: [8] });
  tell(world.socket, { count: 1, members: [member(9, "c")] });
  const socket = await again(world);
  // Of a subscription that is not there yet.
  tell(socket, { count: 5 });
  subscribed(socket, { position: "a-10", was_recovering: true, recovered: true });
  tell(socket, { count: 1, joined: [member(9, "c")] });
  tell(socket, { count: 1, members: [member(12, "c")] });
  assert.deepEqual(got, [
    [2, ["a", "b"], 0, []],
    [2, ["B", "c"], 2, [7, 99]],
    [300, undefined, 0, []],
    [299, undefined, 0, [8]],
    [1, ["c"], 0, []],
    [1, undefined, 1, []],
    [1, ["c"], 0, []],
  ]);
});

test("mistakes of a page are told at once", async () => {
  const { client: own } = await page();
  assert.throws(() => own.subscribe("room", () => {}), { code: "subscribed" });
  for (const name of ["", "x".repeat(257), "é".repeat(129)]) {
    assert.throws(() => own.subscribe(name, () => {}), { code: "invalid-topic" });
    assert.throws(() => own.listen(name, () => {}), { code: "invalid-topic" });
  }
  assert.throws(() => own.subscribe("other", () => {}, { since: "yesterday" }), { code: "invalid-position" });
});

test("a client that is closed tells those who wait for a subscription", async () => {
  const { client: own } = await client();
  const { ready } = own.subscribe("room", () => {});
  own.close();
  await assert.rejects(ready, { code: "closed" });
});
