import assert from "node:assert/strict";
import test from "node:test";
import { browser } from "../build/modules/environment.js";
import { connect } from "../build/modules/hassock.js";
import { client, connected, settled, Socket } from "./fake.js";

/** The timers that are set from now on. */
function timers(context) {
  const { mock } = context.mock.method(globalThis, "setTimeout", () => 0);
  return () => mock.calls.map(({ arguments: [, delay] }) => delay);
}

/** Let the clock of a world be that of a computer, which somebody may set. */
function computer(context, world) {
  let shift = 0;
  context.mock.method(Date, "now", () => world.time + shift);
  world.now = browser(Socket).now;
  return (by) => (shift += by);
}

test("a timer that is too long for a browser is as long as there is", (context) => {
  const { after } = browser(Socket);
  const delays = timers(context);
  for (const delay of [0, 1000, 2 ** 31 - 1, 2 ** 31, Infinity]) after(delay, () => {})();
  assert.deepEqual(delays(), [0, 1000, 2 ** 31 - 1, 2 ** 31 - 1]);
});

test("an attempt and a request may take for ever", async (context) => {
  const delays = timers(context);
  const own = connect("wss://example.org/chat", { WebSocket: Socket, connectTimeout: Infinity, requestTimeout: Infinity });
  own.request("a").catch(() => {});
  await settled();
  assert.deepEqual([own.state, delays()], ["connecting", []]);
  own.close();
});

test("a clock that is set back goes on from where it was", (context) => {
  let time = 1000;
  context.mock.method(Date, "now", () => time);
  const { now } = browser(Socket);
  const times = [2000, 1500, 1600, 100, 300, 5000].map((at) => ((time = at), now()));
  assert.deepEqual(times, [2000, 2000, 2100, 2100, 2300, 7000]);
});

test("a clock that is set back makes no wait longer", async (context) => {
  const { world } = await client();
  const set = computer(context, world);
  world.socket.connected();
  world.socket.say({ type: "closing", reconnect: true, after: 5000 });
  world.socket.end(1013);
  set(-3_600_000);
  await world.wake();
  await world.pass(5000);
  assert.equal(world.sockets.length, 2);
});

test("a clock that is set back does not hide that a connection is dead", async (context) => {
  const { world } = await connected();
  const set = computer(context, world);
  world.socket.say({ type: "heartbeat" });
  set(-3_600_000);
  await world.pass(75_000);
  assert.equal(world.sockets[0].isClosed, true);
});

test("a clock that is set back does not make a connection dead that answers", async (context) => {
  const { world, client: own } = await connected();
  const set = computer(context, world);
  await world.wake();
  set(-3_600_000);
  world.socket.say({ type: "heartbeat" });
  await world.pass(11_000);
  assert.deepEqual([own.state, world.sockets.length], ["open", 1]);
});
