// Writes each module of the library into build/modules, for its unit tests.
import { readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const sources = readdirSync(join(root, "src")).map((file) => `src/${file}`);
await build({ absWorkingDir: root, entryPoints: sources, outdir: "build/modules", format: "esm", target: "es2020" });
