// Prints how large the library is, as a page loads it.
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const library = readFileSync(new URL("../dist/hassock.js", import.meta.url));
console.log(`${library.length} bytes minified, ${gzipSync(library, { level: 9 }).length} bytes compressed`);
