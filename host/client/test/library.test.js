// The library as a page loads it.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { gzipSync } from "node:zlib";

const file = (path) => readFileSync(new URL(`../${path}`, import.meta.url), "utf8");

/** Bytes. A page on a slow network loads it in a moment. */
const MOST = 8 << 10;

test("what is checked in is what the sources make", () => {
  for (const name of ["hassock.js", "hassock.d.ts"]) {
    assert.equal(file(`dist/${name}`), file(`build/dist/${name}`), "run `npm run build` in host/client");
  }
});

test("it is small", () => {
  const bytes = gzipSync(file("dist/hassock.js"), { level: 9 }).length;
  assert.ok(bytes < MOST, `${bytes} bytes compressed`);
});

test("it exports one function, which connects with the WebSocket that it is given", async () => {
  const library = await import("../dist/hassock.js");
  assert.deepEqual(Object.keys(library), ["connect"]);
  const opened = [];
  class Fake {
    constructor(...how) {
      opened.push(how);
    }
    close() {}
  }
  const client = library.connect("wss://example.org/chat", { WebSocket: Fake });
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(opened, [["wss://example.org/chat", ["hassock.v1"]]]);
  client.close();
  assert.throws(() => library.connect("/chat", { WebSocket: Fake }), TypeError);
});
