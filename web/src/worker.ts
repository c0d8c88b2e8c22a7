// Reads radiographs and runs the model, one after the other, beside the page.
import { InputError } from "./input_error";
import { fitLetterbox, imageToModel } from "./letterbox";
import { Model, startLiteRt } from "./model";
import { type Radiograph, readRadiograph } from "./radiograph";
import { type Segmentation, segment } from "./segmentation";
import { Stopwatch } from "./stopwatch";

export type Request =
  /** Without a file: the model that the page was built with. */
  | { kind: "model"; id: number; name: string; file: Blob | null }
  | { kind: "open"; id: number; name: string; file: Blob; outline: boolean };

export interface Opened {
  radiograph: Radiograph;
  segmentation: Segmentation | null;
  /** The name of the model that outlined it. */
  model: string;
  milliseconds: Stopwatch["milliseconds"];
}

export type Answer = { id: number; error?: string; threads?: number; opened?: Opened };

const SHIPPED_FILE = "model.tflite";

// Compiled while the page and the model load.
const threads = startLiteRt();
threads.catch(() => undefined);
let model: Promise<Model | null> = Promise.resolve(null);
let last: Promise<unknown> = Promise.resolve();
/** Requests without an answer. */
let open = 0;

self.onmessage = ({ data }: MessageEvent<Request>) => {
  open++;
  last = last.then(() => (data.kind === "model" ? loadModel(data) : answer(data.id, () => openFile(data))));
};

/** Begins to load a model; files are read meanwhile. One that cannot be loaded leaves the one before in place. */
function loadModel({ id, name, file }: Request & { kind: "model" }): void {
  const before = model;
  const loading = load(name, file);
  model = loading.catch(() => before);
  void loading.then(() => before.then((old) => old?.delete()), () => undefined);
  void answer(id, async () => {
    const loaded = await loading;
    // The first run compiles what it needs; no file that is there already waits for it.
    const blank = new Float32Array(loaded.width * loaded.height);
    if (open === 1) await (last = last.then(() => loaded.run(blank)).catch(() => undefined));
    return { threads: await threads };
  });
}

async function load(name: string, file: Blob | null): Promise<Model> {
  const bytes = file ? await file.arrayBuffer() : await shippedModel();
  return Model.load(name, new Uint8Array(bytes), await threads);
}

async function shippedModel(): Promise<ArrayBuffer> {
  const response = await fetch(SHIPPED_FILE);
  if (!response.ok) throw new InputError(`the server says ${response.status}`);
  return response.arrayBuffer();
}

async function openFile({ name, file, outline }: Request & { kind: "open" }): Promise<Partial<Answer>> {
  const watch = new Stopwatch();
  const radiograph = await readRadiograph(name, new Uint8Array(await file.arrayBuffer()));
  watch.lap("decode");
  const network = outline ? await model : null;
  if (outline && !network) throw new InputError("there is no model");
  watch.lap("wait");
  const segmentation = network && (await outlined(radiograph, network, watch));
  return { opened: { radiograph, segmentation, model: network?.name ?? "", milliseconds: watch.milliseconds } };
}

async function outlined(radiograph: Radiograph, network: Model, watch: Stopwatch): Promise<Segmentation> {
  const box = fitLetterbox(radiograph.width, radiograph.height, network.width, network.height);
  const image = imageToModel(radiograph.grey, box);
  watch.lap("resize");
  const outputs = await network.run(image);
  watch.lap("model");
  return segment(outputs, box, radiograph.mirrored, watch);
}

async function answer(id: number, act: () => Promise<Partial<Answer>>): Promise<void> {
  try {
    const found = await act();
    open--;
    post({ id, ...found }, found.opened ? [found.opened.radiograph.grey.buffer as ArrayBuffer] : []);
  } catch (error) {
    open--;
    const message = error instanceof Error ? error.message : String(error);
    if (!(error instanceof InputError)) console.error(error);
    post({ id, error: message || "the file cannot be read" });
  }
}

function post(answer: Answer, transfer: Transferable[] = []): void {
  (self as unknown as { postMessage(message: Answer, transfer: Transferable[]): void }).postMessage(answer, transfer);
}
