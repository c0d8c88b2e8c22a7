// Builds `dist`, a static folder that any server can host: page, worker, LiteRT, DICOM codecs, model.
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const OUT = "dist";
const MODEL = process.env.MODEL ?? "../saved_models/clavicle_unet/model_int8.tflite";
// With threads, and without for hosts that send no COOP and COEP headers.
const LITERT = ["litert_wasm_threaded_internal", "litert_wasm_internal"];

if (!existsSync(MODEL)) throw new Error(`${MODEL}: model not found; name one with MODEL=...`);
rmSync(OUT, { recursive: true, force: true });
mkdirSync(`${OUT}/litert`, { recursive: true });
mkdirSync(`${OUT}/codecs`);

const options = { bundle: true, minify: true, target: "es2022", legalComments: "linked", external: ["fs", "path", "module"] };
await build({ ...options, entryPoints: ["src/main.ts"], outfile: `${OUT}/main.js`, format: "esm" });
// A classic script, since LiteRT loads its own with importScripts.
await build({ ...options, entryPoints: ["src/worker.ts"], outfile: `${OUT}/worker.js`, format: "iife" });

for (const name of LITERT) {
  const file = `node_modules/@litertjs/core/wasm/${name}`;
  cpSync(`${file}.js`, `${OUT}/litert/${name}.js`);
  // A third of the size, whether or not a host packs what it sends.
  writeFileSync(`${OUT}/litert/${name}.wasm.gz`, gzipSync(readFileSync(`${file}.wasm`), { level: 9 }));
}
for (const [codec, file] of [["openjpeg", "openjpegwasm_decode"], ["charls", "charlswasm_decode"]]) {
  cpSync(`node_modules/@cornerstonejs/codec-${codec}/dist/${file}.wasm`, `${OUT}/codecs/${file}.wasm`);
}
cpSync(MODEL, `${OUT}/model.tflite`);
for (const name of ["index.html", "style.css"]) cpSync(name, `${OUT}/${name}`);

// The service worker keeps these files for use without network; a new build has a new name for its store.
const files = readdirSync(OUT, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => `${entry.parentPath}/${entry.name}`.slice(OUT.length + 1))
  .sort();
const hash = createHash("sha256");
for (const file of files) hash.update(readFileSync(`${OUT}/${file}`));
const version = hash.digest("hex").slice(0, 16);
await build({
  ...options,
  entryPoints: ["src/offline.ts"],
  outfile: `${OUT}/offline.js`,
  format: "iife",
  define: { FILES: JSON.stringify(files), VERSION: JSON.stringify(version) },
});
