import assert from "node:assert/strict";
import test from "node:test";
import { decode, encode, size } from "../build/modules/framing.js";
import { NAME, offer } from "../build/modules/offer.js";
import { distance, position } from "../build/modules/position.js";
import { absolute } from "../build/modules/url.js";

test("binary data may be of any type, and of a part of a buffer", () => {
  const { buffer } = new Uint8Array([1, 2, 3, 4]);
  const expected = new Uint8Array([10, 2, 3]);
  for (const data of [new Uint8Array(buffer, 1, 2), new DataView(buffer, 1, 2), buffer.slice(1, 3)]) {
    assert.deepEqual(encode(undefined, data), expected);
    assert.equal(size(data), 2);
  }
  assert.equal(size("é😀"), 6);
});

test("a payload that is read has a buffer of its own", () => {
  const { payload } = decode(new Uint8Array([10, 1, 2]).buffer);
  assert.deepEqual(new Uint8Array(payload.buffer), new Uint8Array([1, 2]));
});

test("what has no header is not a message of the protocol", () => {
  for (const text of ["", "hello", "hello\n", "[]\n", "1\n", "null\n", "{\n"]) {
    assert.throws(() => decode(text), { code: "protocol" }, JSON.stringify(text));
    assert.throws(() => decode(new TextEncoder().encode(text).buffer), { code: "protocol" }, JSON.stringify(text));
  }
});

test("positions have a distance within one run of the host", () => {
  assert.deepEqual(position("1b2f4c-17"), { epoch: "1b2f4c", offset: 17 });
  assert.equal(distance("a-9007199254740991", "a-9007199254740990"), 1);
  assert.equal(distance("a-9", "a-10"), -1);
  assert.equal(distance("a-9", "b-9"), undefined);
  for (const text of ["", "-", "1", "1-", "-1", "g-1", "1-2-3", "1-a", " 1-1"]) {
    assert.equal(position(text), undefined, text);
  }
});

test("a handshake stays small enough for the host, and has what comes first", () => {
  const many = Array.from({ length: 1000 }, (_, number) => [`room \u0007 "${number}"`, `1b2f4c-${number}`]);
  const offered = offer(many, ["chat"]);
  assert.ok(offered.join(", ").length < 4200 && offered.length === 3);
  const { since } = JSON.parse(Buffer.from(offered[1].slice(NAME.length + 1), "base64url").toString());
  const known = Object.entries(since);
  assert.ok(known.length > 50);
  assert.deepEqual(known, many.slice(0, known.length));
});

test("an address may be relative to the page", () => {
  const page = "https://example.org/a/b.html?c#d";
  assert.equal(absolute("/chat?room=1", page), "wss://example.org/chat?room=1");
  assert.equal(absolute("http://localhost:8080/chat#x", page), "ws://localhost:8080/chat");
  assert.equal(absolute("wss://other.example/", undefined), "wss://other.example/");
  assert.throws(() => absolute("ftp://example.org/", page), TypeError);
  assert.throws(() => absolute("/chat", undefined), TypeError);
});
