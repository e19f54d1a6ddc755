// Writes hassock.js and hassock.d.ts into a folder: `dist` is checked in, because the host serves it.
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const target = join(root, process.argv[2] ?? "dist");
const declarations = join(root, "build", "declarations");

await build({
  absWorkingDir: root,
  entryPoints: ["src/index.ts"],
  outfile: join(target, "hassock.js"),
  bundle: true,
  format: "esm",
  target: "es2020",
  minify: true,
  banner: { js: "/* Hassock client library, MIT OR Apache-2.0 */" },
  legalComments: "none",
});

rmSync(declarations, { recursive: true, force: true });
const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
const options = ["--noEmit", "false", "--declaration", "--emitDeclarationOnly", "--outDir", declarations];
execFileSync(process.execPath, [tsc, ...options], { cwd: root, stdio: "inherit" });
mkdirSync(target, { recursive: true });
writeFileSync(join(target, "hassock.d.ts"), ["types", "hassock"].map(declared).join("\n"));

/** The declarations of a file, without what it imports from the others. */
function declared(file) {
  const text = readFileSync(join(declarations, `${file}.d.ts`), "utf8");
  return text.replace(/^import .*\n/gm, "").trim() + "\n";
}
