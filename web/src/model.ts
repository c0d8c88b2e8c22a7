// The clavicle model in LiteRT: a letterboxed radiograph in, strips with their matrices and scores out.
import { type CompiledModel, loadAndCompile, loadLiteRt, Tensor } from "@litertjs/core";
import { InputError } from "./input_error";

const SIGNATURE = "serving_default";
const OUTPUTS = ["score", "strip_logits", "strip_matrices"] as const;
const MOST_THREADS = 4;

export interface Outputs {
  score: Float32Array;
  strips: Float32Array;
  stripWidth: number;
  stripHeight: number;
  /** Two matrices of two rows of three: pixels (x, y) of the input to those of the strip. */
  matrices: Float32Array;
}

/** Loads LiteRT; returns the number of threads it may use. */
export async function startLiteRt(): Promise<number> {
  const threads = self.crossOriginIsolated ? Math.min(MOST_THREADS, navigator.hardwareConcurrency || 1) : 1;
  const name = `litert/litert_wasm_${threads > 1 ? "threaded_" : ""}internal`;
  const script = new URL(`${name}.js`, self.location.href).href;
  // Its threads would else start with this worker's script.
  Object.assign(self, { Module: { mainScriptUrlOrBlob: script, instantiateWasm: unpackingFrom(`${name}.wasm.gz`) } });
  await loadLiteRt(script);
  return threads;
}

/** Returns Emscripten's hook that compiles a packed Wasm file while it is read. */
function unpackingFrom(file: string) {
  return (imports: WebAssembly.Imports, done: (instance: WebAssembly.Instance, module: WebAssembly.Module) => void) => {
    const unpacked = fetch(file).then(({ body }) => {
      const stream = body!.pipeThrough(new DecompressionStream("gzip"));
      return new Response(stream, { headers: { "Content-Type": "application/wasm" } });
    });
    void WebAssembly.instantiateStreaming(unpacked, imports).then(({ instance, module }) => done(instance, module));
    return {};
  };
}

export class Model {
  readonly width: number;
  readonly height: number;
  private readonly stripShape: readonly number[];

  private constructor(
    readonly name: string,
    private readonly compiled: CompiledModel,
  ) {
    const signature = compiled.signatures[SIGNATURE];
    const input = signature?.getInputDetails()[0];
    const outputs = signature?.getOutputDetails() ?? [];
    const names = outputs.map((output) => output.name);
    if (input?.name !== "image" || !OUTPUTS.every((name) => names.includes(name))) {
      throw new InputError(`found a model with the outputs ${names.join(", ")}, expected a clavicle model of crass-tf export`);
    }
    [, this.height, this.width] = Array.from(input.shape);
    this.stripShape = Array.from(outputs.find((output) => output.name === "strip_logits")!.shape);
  }

  static async load(name: string, bytes: Uint8Array, threads: number): Promise<Model> {
    let compiled: CompiledModel;
    try {
      compiled = await loadAndCompile(bytes, { accelerator: "wasm", cpuOptions: { numThreads: threads } });
    } catch {
      throw new InputError("found a file that LiteRT cannot open, expected a .tflite of crass-tf export");
    }
    return new Model(name, compiled);
  }

  async run(image: Float32Array): Promise<Outputs> {
    const input = new Tensor(image, [1, this.height, this.width, 1]);
    let outputs: Record<string, Tensor>;
    try {
      outputs = await this.compiled.run(SIGNATURE, { image: input });
    } catch {
      input.delete();
      throw new InputError("the model cannot work on this picture, expected a frontal chest radiograph");
    }
    const read = (name: string) => outputs[name].toTypedArray().slice() as Float32Array;
    const [, , stripHeight, stripWidth] = this.stripShape;
    const found = { score: read("score"), strips: read("strip_logits"), matrices: read("strip_matrices"), stripWidth, stripHeight };
    for (const tensor of [input, ...Object.values(outputs)]) tensor.delete();
    return found;
  }

  delete(): void {
    this.compiled.delete();
  }
}
