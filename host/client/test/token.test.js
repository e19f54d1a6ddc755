import assert from "node:assert/strict";
import test from "node:test";
import { client, connected, settled } from "./fake.js";

/** Let time pass until the token of a connection expires, and accept each token. Returns when there was one. `expires` says
 *  when a token expires. */
async function accept(world, until, expires) {
  const times = [];
  while (world.time < until) {
    await world.pass(500);
    world.socket.say({ type: "heartbeat" });
    for (const { header } of world.socket.take().filter(({ header }) => header.type === "token")) {
      times.push(world.time);
      world.socket.say({ type: "token", request: header.request, expires: expires(header.token) - world.time });
    }
  }
  return times;
}

/** A callback that returns `t1`, `t2`, and so on. */
function tokens() {
  let made = 0;
  return () => `t${++made}`;
}

/** The token of an attempt to connect. */
const shown = ({ protocols }) => JSON.parse(Buffer.from(protocols[1].slice("hassock.v1.".length), "base64url")).token;

test("each attempt shows a token of its own", async () => {
  const { world } = await client({ token: tokens() });
  assert.equal(shown(world.socket), "t1");
  world.socket.end();
  await world.pass(250);
  assert.equal(shown(world.socket), "t2");
});

test("a token is replaced over the connection before it expires", async () => {
  const { world, client: own, events } = await client({ token: tokens() });
  world.socket.connected({ expires: 600_000 });
  let told = [];
  for (const [expires, before] of [[600_000, 60_000], [1000, 200]]) {
    for (let rest = expires - before - 1; rest > 0; rest -= 20_000) {
      await world.pass(Math.min(rest, 20_000));
      world.socket.say({ type: "heartbeat" });
    }
    told = world.socket.take().filter(({ header }) => header.type === "token");
    assert.deepEqual(told, []);
    await world.pass(1);
    told = world.socket.take().filter(({ header }) => header.type === "token");
    assert.equal(told.length, 1);
    world.socket.say({ type: "token", request: told[0].header.request, expires: 1000 });
  }
  assert.equal(told[0].header.token, "t3");
  assert.deepEqual([own.state, world.sockets.length, events.length], ["open", 1, 0]);
});

test("a callback that always has the same token is asked again, but not without end", async () => {
  const asked = { 10_000: [8_000], 600_000: [540_000, 570_000, 585_000, 592_500, 597_500] };
  for (const [expires, times] of Object.entries(asked)) {
    let calls = 0;
    const { world } = await client({ token: () => `same ${(calls += 1)}` });
    world.socket.connected({ expires: Number(expires) });
    assert.deepEqual(await accept(world, Number(expires) + 60_000, () => Number(expires)), times);
    assert.equal(calls, 1 + times.length);
  }
});

test("a callback that has another token only at the last moment keeps the connection", async () => {
  let world;
  const token = () => (world?.time >= 590_000 ? "new" : "old");
  const all = await client({ token });
  world = all.world;
  world.socket.connected({ expires: 600_000 });
  const times = await accept(world, 1_000_000, (token) => (token === "new" ? 1_200_000 : 600_000));
  assert.deepEqual(times, [540_000, 570_000, 585_000, 592_500]);
  await accept(world, 1_140_000, () => 2_000_000);
  assert.deepEqual([all.client.state, world.sockets.length, all.events], ["open", 1, []]);
});

test("a callback that never ends is asked again on the connection that stays", async () => {
  let calls = 0;
  const answers = ["t1", new Promise(() => {}), "t3"];
  const { world, client: own, events } = await client({ token: () => answers[calls++], connectTimeout: 3_000 });
  world.socket.connected({ expires: 60_000, heartbeat: 600_000 });
  await world.pass(48_000 + 2_999);
  assert.deepEqual([calls, events], [2, []]);
  await world.pass(1);
  assert.deepEqual(events.map(([kind, { code }]) => [kind, code]), [["error", "token"]]);
  await world.pass(5_000);
  assert.deepEqual(world.socket.take().map(({ header }) => header.token), ["t3"]);
  assert.equal(own.state, "open");
});

test("a callback that fails or never ends is asked again", async () => {
  let calls = 0;
  const answers = ["t1", undefined, "t2", new Promise(() => {}), "t3"];
  const { world, client: own, events } = await client({ token: () => answers[calls++], connectTimeout: 20_000 });
  world.socket.connected({ expires: 60_000, heartbeat: 600_000 });
  await world.pass(48_000);
  assert.deepEqual([events[0][0], world.socket.take()], ["error", []]);
  await world.pass(5_000);
  const [{ header }] = world.socket.take();
  assert.equal(header.token, "t2");
  world.socket.say({ type: "error", request: header.request, code: "unavailable", message: "later" });
  world.socket.end();
  await world.pass(500);
  assert.equal(own.state, "connecting");
  const before = world.sockets.length;
  await world.pass(20_000);
  await world.pass(1_000);
  assert.equal(world.sockets.length, before + 1);
  assert.equal(shown(world.socket), "t3");
});

test("a token that does not expire is not replaced", async () => {
  const { world } = await client({ token: tokens() });
  world.socket.connected();
  await world.pass(30_000);
  assert.deepEqual(world.socket.take(), []);
});

test("a token that is refused is an error, and the next connection has another one", async () => {
  const { world, client: own, events } = await client({ token: tokens() });
  world.socket.connected({ expires: 1000 });
  await world.pass(800);
  const [{ header }] = world.socket.take();
  world.socket.say({ type: "error", request: header.request, code: "invalid-token", message: "no" });
  assert.equal(events[0][1].code, "invalid-token");
  assert.equal(own.state, "open");
  world.socket.say({ type: "closing", reconnect: false, after: 0 });
  world.socket.end(4401, "the token has expired");
  assert.equal(own.state, "waiting");
  assert.deepEqual(events.at(-1), ["reconnecting", { attempt: 1, delay: 0 }]);
  await world.pass(0);
  assert.equal(shown(world.socket), "t3");
  // Not in a loop.
  world.socket.connected().end(4401, "log in first");
  assert.deepEqual(events.at(-1), ["reconnecting", { attempt: 2, delay: 500 }]);
});

test("a client without a callback stays away after 4401", async () => {
  const { world, client: own } = await connected();
  world.socket.end(4401, "the token has expired");
  assert.equal(own.state, "closed");
  await world.pass(600_000);
  assert.equal(world.sockets.length, 1);
});

test("a callback may fail", async () => {
  let calls = 0;
  const token = async () => {
    calls += 1;
    if (calls === 2) throw new Error("no session");
    return "t";
  };
  const { world, client: own, events } = await client({ token });
  world.socket.connected({ expires: 1000 });
  await world.pass(900);
  assert.equal(events[0][1].code, "token");
  assert.match(events[0][1].message, /no session/);
  assert.equal(own.state, "open");
});

test("a client that is closed does not say that there is no token", async () => {
  let reject;
  let calls = 0;
  const token = () => (++calls === 2 ? new Promise((_, fail) => (reject = fail)) : "t");
  const { world, client: own, events } = await client({ token });
  world.socket.connected({ expires: 1000 });
  await world.pass(900);
  own.close();
  reject(new Error("logged out"));
  await settled();
  assert.deepEqual(events.map(([kind]) => kind), ["close"]);
  assert.equal(world.timers.size, 0);
});

test("a connection that ends meanwhile gets no token", async () => {
  let resolve;
  let calls = 0;
  const token = () => (++calls === 2 ? new Promise((done) => (resolve = done)) : "t");
  const { world, client: own } = await client({ token });
  const [first] = world.sockets;
  first.connected({ expires: 1000 });
  await world.pass(900);
  first.end();
  await world.pass(250);
  world.socket.connected();
  resolve("late");
  await settled();
  assert.deepEqual([first.take(), world.socket.take()], [[], []]);
  own.close();
  assert.equal(world.timers.size, 0);
});
