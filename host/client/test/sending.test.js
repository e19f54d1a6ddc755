import assert from "node:assert/strict";
import test from "node:test";
import { runInNewContext } from "node:vm";
import { again, client, connected, settled } from "./fake.js";

const payloads = (socket) => socket.take().map(({ payload }) => payload);
const bytes = (...values) => new Uint8Array(values);

test("messages are sent as they are", async () => {
  const { world, client: own } = await connected();
  own.send("text");
  own.send(bytes(1, 2).buffer);
  assert.deepEqual(world.socket.take(), [
    { header: undefined, payload: "text" },
    { header: undefined, payload: bytes(1, 2) },
  ]);
});

test("messages wait for a connection, in their order, behind subscriptions", async () => {
  const { world, client: own } = await client();
  own.send("one");
  const answer = own.request("two");
  own.send(bytes(3));
  own.subscribe("room", () => {});
  world.socket.connected();
  const sent = world.socket.take();
  assert.deepEqual(sent.map(({ header, payload }) => [header?.type, payload]), [
    ["subscribe", ""],
    [undefined, "one"],
    ["request", "two"],
    [undefined, bytes(3)],
  ]);
  world.socket.say({ type: "reply", request: sent[2].header.request }, "answer");
  assert.equal(await answer, "answer");
  own.send("four");
  assert.deepEqual(payloads(world.socket), ["four"]);
});

test("what waits or may be sent again is a copy", async () => {
  const { world, client: own } = await client();
  const [view, buffer, asked] = [bytes(0, 1, 2, 3), bytes(4), bytes(5)];
  own.send(view.subarray(1, 3));
  own.send(buffer.buffer);
  own.request(asked, { retry: true }).catch(() => {});
  const overwrite = () => [view, buffer, asked].forEach((all) => all.fill(9));
  overwrite();
  world.socket.connected();
  assert.deepEqual(payloads(world.socket), [bytes(1, 2), bytes(4), bytes(5)]);
  asked.set([6]);
  own.request(asked, { retry: true }).catch(() => {});
  overwrite();
  assert.deepEqual(payloads(world.socket), [bytes(6)]);
  assert.deepEqual(payloads(await again(world)), [bytes(5), bytes(6)]);
});

test("what is neither a text nor bytes is not sent", async () => {
  const wrong = [new Blob(["x"]), {}, [1], 7, null, undefined, new String("x"), new SharedArrayBuffer(1)];
  for (const state of ["connecting", "open"]) {
    const { world, client: own } = await client({ queue: { bytes: 3 } });
    if (state === "open") world.socket.connected();
    const { size } = world.timers;
    for (const data of wrong) {
      assert.throws(() => own.send(data), TypeError);
      await assert.rejects(own.request(data), TypeError);
    }
    assert.equal(world.timers.size, size);
    own.send("abc");
    // The bound is what it was.
    if (state === "connecting") assert.throws(() => own.send("d"), { code: "queue-full" });
    if (state === "connecting") world.socket.connected();
    assert.deepEqual(payloads(world.socket), ["abc"]);
  }
});

test("bytes may come from another window", async () => {
  const { world, client: own } = await connected();
  own.send(runInNewContext("new Uint8Array([1, 2]).buffer"));
  own.send(runInNewContext("new Uint8Array([3])"));
  assert.deepEqual(payloads(world.socket), [bytes(1, 2), bytes(3)]);
});

test("so many wait, and no more", async () => {
  const { client: own, world } = await client({ queue: { messages: 2, bytes: 10 } });
  own.send("é".repeat(5));
  assert.throws(() => own.send("x"), { code: "queue-full" });
  await assert.rejects(own.request("x"), { code: "queue-full" });
  own.send("");
  assert.throws(() => own.send(""), { code: "queue-full" });
  world.socket.connected();
  assert.deepEqual(payloads(world.socket), ["ééééé", ""]);
  // There is room again.
  world.socket.end();
  own.send("x".repeat(10));
});

test("what the browser cannot send yet is bounded too", async () => {
  const { client: own, world } = await connected({ queue: { bytes: 10 } });
  own.send("a large message goes alone");
  world.socket.bufferedAmount = 5;
  own.send("12345");
  assert.throws(() => own.send("123456"), { code: "queue-full" });
});

test("what is sent while the host closes waits for the next connection", async () => {
  const { client: own, world } = await connected();
  world.socket.say({ type: "closing", reconnect: true, after: 0 });
  own.send("one");
  assert.deepEqual(world.socket.take(), []);
  assert.deepEqual(payloads(await again(world)), ["one"]);
});

test("requests are answered by their number", async () => {
  const { client: own, world } = await connected();
  const answers = [own.request("a"), own.request(bytes(2)), own.request("c")];
  const numbers = world.socket.take().map(({ header }) => header.request);
  assert.equal(new Set(numbers).size, 3);
  world.socket.say({ type: "reply", request: numbers[1] }, "second");
  world.socket.say({ type: "error", request: numbers[2], code: "refused", message: "no" });
  const line = new TextEncoder().encode(JSON.stringify({ type: "reply", request: numbers[0] }) + "\n");
  world.socket.onmessage({ data: new Uint8Array([...line, 255, 10]).buffer });
  assert.deepEqual(await answers[0], bytes(255, 10));
  assert.equal(await answers[1], "second");
  await assert.rejects(answers[2], { code: "refused", message: "no", name: "HassockError" });
  assert.equal(world.timers.size, 1);
});

test("an answer does not take for ever", async () => {
  const { client: own, world } = await connected({ requestTimeout: 100 });
  const [first, second] = [own.request("a"), own.request("b", { timeout: 200 })];
  first.catch(() => {});
  await world.pass(100);
  await assert.rejects(first, { code: "timeout" });
  const [, { header }] = world.socket.take();
  world.socket.say({ type: "reply", request: header.request }, "in time");
  assert.equal(await second, "in time");
});

test("a request that is given up before it is sent is not sent", async () => {
  const { client: own, world } = await client();
  const answer = own.request("a", { timeout: 100 });
  own.send("b");
  answer.catch(() => {});
  await world.pass(100);
  await assert.rejects(answer, { code: "timeout" });
  world.socket.connected();
  assert.deepEqual(payloads(world.socket), ["b"]);
});

test("a connection that breaks ends its requests, unless they may be asked again", async () => {
  const { client: own, world } = await connected({ requestTimeout: 600_000 });
  const [lost, first, second] = [own.request("lost"), own.request("1", { retry: true }), own.request("2", { retry: true })];
  lost.catch(() => {});
  world.socket.end();
  await assert.rejects(lost, { code: "disconnected" });
  own.send("later");
  // A connection on which nothing is sent changes nothing.
  await world.pass(500);
  world.socket.end();
  await world.pass(60_000);
  const socket = world.socket.connected();
  const sent = socket.take();
  assert.deepEqual(sent.map(({ payload }) => payload), ["1", "2", "later"]);
  for (const { header } of sent.slice(0, 2)) socket.say({ type: "reply", request: header.request }, "done");
  assert.deepEqual(await Promise.all([first, second]), ["done", "done"]);
  assert.deepEqual(payloads(await again(world)), []);
});

test("a client that is closed answers nothing any more", async () => {
  const { client: own, world, events } = await client();
  const waiting = own.request("a");
  own.send("b");
  own.close();
  await assert.rejects(waiting, { code: "closed" });
  await assert.rejects(own.request("c"), { code: "closed" });
  assert.equal(events.at(-1)[1].unsent, 1);
  await settled();
  assert.equal(world.timers.size, 0);
});
