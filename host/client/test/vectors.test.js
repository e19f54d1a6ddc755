// What both sides write is as the vectors say, which the tests of the host read too.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { decode, encode } from "../build/modules/framing.js";
import { offer } from "../build/modules/offer.js";

const vectors = JSON.parse(readFileSync(new URL("../vectors.json", import.meta.url), "utf8"));

const value = (written) =>
  typeof written === "string" ? written : new Uint8Array(Buffer.from(written.base64, "base64"));

const received = (message) => (typeof message === "string" ? message : message.slice().buffer);

test("each message is read", () => {
  for (const { header, payload, message } of vectors.messages) {
    const frame = decode(received(value(message)));
    assert.deepEqual(frame, { header: header ?? undefined, payload: value(payload) });
  }
});

test("each message of a client is written", () => {
  const own = vectors.messages.filter(({ from }) => from === "client");
  assert.ok(own.length > 5);
  for (const { header, payload, message } of own) {
    assert.deepEqual(encode(header ?? undefined, value(payload)), value(message));
  }
});

test("each handshake offers what the client knows", () => {
  for (const { since, token, protocols, offered } of vectors.offers) {
    assert.deepEqual(offer(Object.entries(since), protocols, token), offered);
  }
});
