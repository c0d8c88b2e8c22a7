// The page: binds buttons, keys and dropped files to what can be done, and draws what changed.
import { App } from "./app";
import { filesOf } from "./dropping";
import { Editor, type Tool } from "./editor";
import { drawFindings } from "./findings";
import { List } from "./list";
import type { Ring } from "./contours";
import { measure } from "./measures";
import { midline } from "./midline";
import { saved } from "./saving";
import type { Side } from "./segmentation";
import { type Layers, Viewer } from "./viewer";

// `crass-tf view` opens the page with this mark: it serves the files that it was given, and sends the headers itself.
const FROM_COMMAND = "#view";
const MEASURING_MS = 60;

const element = <T extends HTMLElement = HTMLElement>(id: string) => document.getElementById(id) as T;
const button = (id: string, act: () => void) => element(id).addEventListener("click", act);

const app = new App();
const canvas = element<HTMLCanvasElement>("canvas");
const viewer = new Viewer(canvas);
const editor = new Editor(app, viewer, canvas);
const list = new List(app, element<HTMLOListElement>("list"), element("progress"));
// Of radiographs shown so far; it depends on the pixels alone.
const midlines = new Map<string, Ring>();
let shown: string | null = null;

function say(text: string): void {
  element("message").textContent = text;
}

function draw(changed: Parameters<App["onChange"]>[0]): void {
  list.draw(changed);
  const { current: item, radiograph, side } = app;
  if (changed && changed !== item) return;
  const { scene } = viewer;
  const isOther = item?.id !== scene.item?.id;
  Object.assign(scene, { item: item?.status === "outlined" ? item : null, radiograph });
  scene.handles = editor.tool === "correct" ? side : null;
  if (isOther) Object.assign(scene, { chosen: null, midline: null, centreLines: { right: null, left: null } });
  // A picture that was not there before is fitted; one that is only corrected stays where it is.
  const identity = radiograph && item ? item.id : null;
  if (identity && identity !== shown) {
    viewer.setWindow(128, 255);
    viewer.fit();
  }
  shown = identity;
  scene.rings = scene.handles ? editor.rings() : [];
  viewer.draw();
  measureSoon();
  drawControls();
}

let measuring = 0;

/** Measures once the picture is drawn; while an outline is dragged, only where it stops. */
function measureSoon(): void {
  const { current: item, radiograph } = app;
  clearTimeout(measuring);
  if (item?.status !== "outlined" || !radiograph) return drawFindings(app, null, element("findings"));
  measuring = setTimeout(() => {
    const line = midlines.get(item.id) ?? midline(radiograph);
    midlines.set(item.id, line);
    const measures = measure(item, line);
    viewer.scene.midline = line;
    viewer.scene.centreLines = { right: measures.right?.line ?? null, left: measures.left?.line ?? null };
    viewer.draw();
    drawFindings(app, measures, element("findings"));
  }, MEASURING_MS);
}

function drawControls(): void {
  const { current: item, side } = app;
  const outlined = item?.status === "outlined";
  element("empty").hidden = app.items.length > 0;
  canvas.setAttribute("aria-label", item ? `Radiograph ${item.name}` : "No radiograph is open");
  for (const id of ["absent", "hidden", "again", "check"]) element<HTMLButtonElement>(id).disabled = !outlined;
  element<HTMLButtonElement>("undo").disabled = !app.canUndo();
  element<HTMLButtonElement>("redo").disabled = !app.canRedo();
  for (const id of ["remove", "next"]) element<HTMLButtonElement>(id).disabled = !item;
  for (const id of ["remove-all", "save"]) element<HTMLButtonElement>(id).disabled = !app.items.length;
  element("absent").setAttribute("aria-pressed", String(outlined && item.sides[side].verdict === "absent"));
  element("hidden").setAttribute("aria-pressed", String(outlined && item.sides[side].verdict === "not visible"));
  document.querySelector<HTMLInputElement>(`input[name="tool"][value="${editor.tool}"]`)!.checked = true;
  document.querySelector<HTMLInputElement>(`input[name="side"][value="${side}"]`)!.checked = true;
  element<HTMLInputElement>("level").value = String(viewer.level);
  element<HTMLInputElement>("width").value = String(viewer.width);
  const time = app.milliseconds;
  const took = time ? ` The last file took ${time.all.toFixed(0)} ms: ${Object.entries(time.steps).map(([step, took]) => `${step} ${took.toFixed(0)}`).join(", ")}.` : "";
  const threads = app.threads > 1 ? `${app.threads} threads` : "one thread";
  element("engine").textContent = app.modelName ? `Model: ${app.modelName}, ${threads}.${took}` : "The model is loading…";
}

function setTool(tool: Tool): void {
  editor.setTool(tool);
  draw(app.current);
}

function setSide(side: Side): void {
  app.side = side;
  viewer.scene.chosen = null;
  draw(app.current);
}

function toggleVerdict(verdict: "absent" | "not visible"): void {
  const now = app.current?.sides[app.side].verdict;
  app.edit(app.side, { verdict: now === verdict ? "outlined" : verdict });
}

function toggleLayer(layer: keyof Layers): void {
  const box = element<HTMLInputElement>(`show-${layer}`);
  box.checked = !box.checked;
  viewer.layers[layer] = box.checked;
  draw(app.current);
}

function checkAndNext(): void {
  app.check();
  app.next();
}

async function remove(all: boolean): Promise<void> {
  const what = all ? `all ${app.items.length} radiographs and their corrections` : `${app.current?.name} and its corrections`;
  if (!confirm(`Close ${what}? This cannot be undone.`)) return;
  await (all ? app.removeAll() : app.remove(app.current!));
}

function openSaving(): void {
  const { checked, outlined } = app.progress();
  element("checked-count").textContent = String(checked);
  element("outlined-count").textContent = String(outlined);
  element<HTMLInputElement>("initials").value = app.initials;
  element<HTMLDialogElement>("save-dialog").showModal();
}

async function save(): Promise<void> {
  const scope = document.querySelector<HTMLInputElement>('input[name="scope"]:checked')!.value;
  const items = app.items.filter((item) => (scope === "checked" ? item.checked : item.status === "outlined"));
  if (!items.length) return say("There is nothing to save: check a radiograph first, or save all that are outlined.");
  try {
    const zip = await saved(app, items, (done) => say(`Saving ${done + 1} of ${items.length}…`));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(zip);
    link.download = "clavicles.zip";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    say(`Saved ${items.length} radiographs as clavicles.zip. Unpack it and give the folder to crass-tf build.`);
  } catch (error) {
    say(`Saving stopped: ${(error as Error).message}`);
  }
}

const keys: Record<string, () => void> = {
  v: () => setTool("move"),
  w: () => setTool("window"),
  c: () => setTool("correct"),
  d: () => setTool("redraw"),
  "1": () => setSide("right"),
  "2": () => setSide("left"),
  "[": () => editor.step(-1),
  "]": () => editor.step(1),
  i: () => editor.insert(),
  Delete: () => editor.removePoint(),
  Backspace: () => editor.removePoint(),
  x: () => toggleVerdict("absent"),
  z: () => toggleVerdict("not visible"),
  u: () => app.undo(),
  r: () => app.redo(),
  Enter: checkAndNext,
  n: () => app.next(),
  PageUp: () => app.step(-1),
  PageDown: () => app.step(1),
  "+": () => editor.zoom(1.25),
  "=": () => editor.zoom(1.25),
  "-": () => editor.zoom(0.8),
  "0": () => viewer.fit(),
  o: () => toggleLayer("outlines"),
  l: () => toggleLayer("labels"),
  k: () => toggleLayer("lines"),
  m: () => toggleLayer("midline"),
  s: openSaving,
  "?": () => element<HTMLDialogElement>("help-dialog").showModal(),
};
const ARROWS: Record<string, [number, number]> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

document.addEventListener("keydown", (event) => {
  const target = event.target as HTMLElement;
  if (document.querySelector("dialog[open]") || target.matches('input:not([type="radio"], [type="checkbox"])')) return;
  // Radio buttons, check boxes and buttons have keys of their own.
  if (target.matches("input") && event.key in ARROWS) return;
  if (target.matches("input, button") && ["Enter", " "].includes(event.key)) return;
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z") {
    event.preventDefault();
    return event.shiftKey ? app.redo() : app.undo();
  }
  const arrow = ARROWS[event.key];
  if (arrow) {
    event.preventDefault();
    return editor.nudge(...arrow, event.shiftKey ? 0.25 : event.ctrlKey ? 10 : 1);
  }
  const act = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  act();
});

app.onChange = draw;
app.onMessage = say;
editor.onTool = drawControls;

button("open", () => element("files").click());
button("open-folder", () => element("folder").click());
for (const id of ["files", "folder"]) {
  const input = element<HTMLInputElement>(id);
  input.addEventListener("change", () => {
    const files = [...(input.files ?? [])].map((file) => ({ name: file.webkitRelativePath || file.name, blob: file as Blob }));
    input.value = "";
    void app.add(files);
  });
}
button("save", openSaving);
button("help", keys["?"]);
button("absent", keys.x);
button("hidden", keys.z);
button("undo", keys.u);
button("redo", keys.r);
button("again", () => void app.outlineAgain());
button("zoom-in", keys["+"]);
button("zoom-out", keys["-"]);
button("fit", keys["0"]);
button("check", checkAndNext);
button("next", keys.n);
button("remove", () => void remove(false));
button("remove-all", () => void remove(true));
element<HTMLInputElement>("initials").addEventListener("change", (event) => app.setInitials((event.target as HTMLInputElement).value));
element<HTMLDialogElement>("save-dialog").addEventListener("close", (event) => {
  if ((event.target as HTMLDialogElement).returnValue === "save") void save();
});
for (const input of document.querySelectorAll<HTMLInputElement>('input[name="tool"]')) input.addEventListener("change", () => setTool(input.value as Tool));
for (const input of document.querySelectorAll<HTMLInputElement>('input[name="side"]')) input.addEventListener("change", () => setSide(input.value as Side));
for (const layer of Object.keys(viewer.layers) as (keyof Layers)[]) {
  element<HTMLInputElement>(`show-${layer}`).addEventListener("change", (event) => {
    viewer.layers[layer] = (event.target as HTMLInputElement).checked;
    draw(app.current);
  });
}
for (const id of ["level", "width"]) {
  element(id).addEventListener("input", () =>
    viewer.setWindow(Number(element<HTMLInputElement>("level").value), Number(element<HTMLInputElement>("width").value)),
  );
}
// Who clicks goes on with the picture; who uses the keyboard stays where they are.
document.addEventListener("click", (event) => {
  const clicked = (event.target as HTMLElement).closest("#list button, aside button, aside label:not(.slider)");
  if (clicked && event.detail) canvas.focus({ preventScroll: true });
});
addEventListener("beforeunload", (event) => {
  if (app.isUnsaved()) event.preventDefault();
});
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  if (event.dataTransfer) void filesOf(event.dataTransfer).then((files) => app.add(files));
});

async function openServed(): Promise<void> {
  const names: string[] = await (await fetch("files.json")).json();
  const known = new Set(app.items.map((item) => item.name));
  // One at a time: a folder may hold more than fits into memory.
  for (const [place, name] of names.entries()) {
    if (!known.has(name)) await app.add([{ name, blob: await (await fetch(`files/${place}`)).blob() }], false);
  }
}

async function start(): Promise<void> {
  await app.start();
  if (location.hash === FROM_COMMAND) await openServed();
  else if ("serviceWorker" in navigator) await navigator.serviceWorker.register("offline.js").catch(() => undefined);
}

void start();
