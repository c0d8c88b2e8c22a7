// The list of radiographs, the one that is shown, and everything that can be done to them; no drawing.
import { Engine } from "./engine";
import { flags, isEdited, type Item, newItem, type Sides, type SideState } from "./item";
import type { Radiograph } from "./radiograph";
import { type Side, SIDES } from "./segmentation";
import { Store } from "./store";
import { thumbnailOf } from "./thumbnail";
import type { Opened } from "./worker";

// Pixels of so many radiographs stay in memory, so that going back and forth is quick.
const KEPT = 3;
const SHIPPED = "the page's own";

interface History {
  past: Sides[];
  future: Sides[];
}

export class App {
  items: Item[] = [];
  current: Item | null = null;
  radiograph: Radiograph | null = null;
  side: Side = "right";
  initials = localStorage.getItem("initials") ?? "";
  modelName = "";
  threads = 0;
  /** Of the last radiograph outlined. */
  milliseconds: { all: number; steps: Opened["milliseconds"] } | null = null;
  /** The page draws itself again; an item is what changed, null is all. */
  onChange: (item: Item | null) => void = () => {};
  onMessage: (text: string) => void = () => {};

  private readonly engine = new Engine();
  /** Null where the browser keeps nothing. */
  private readonly store: Promise<Store | null> = Store.open().catch(() => null);
  private readonly files = new Map<string, Blob>();
  private readonly pixels = new Map<string, Radiograph>();
  private readonly histories = new Map<string, History>();
  private queue: Promise<void> = Promise.resolve();
  private keeping = 0;

  /** Brings back what an earlier visit left. */
  async start(): Promise<void> {
    void this.useShippedModel();
    const store = await this.store;
    if (!store) return this.onMessage("This browser keeps nothing here: save before you close the page.");
    const kept = (await store.items()).sort((a, b) => a.name.localeCompare(b.name));
    // Some may have been dropped meanwhile, and kept already.
    const dropped = new Set(this.items.map((item) => item.id));
    const earlier = kept.filter((item) => !dropped.has(item.id));
    this.items = [...earlier, ...this.items];
    this.onChange(null);
    for (const item of earlier) if (item.status === "waiting") this.enqueue(item);
    if (!this.current && this.items.length) await this.show(this.items[0]);
  }

  /** Opens files; shows the first of them, else only where nothing is shown. */
  async add(files: { name: string; blob: Blob }[], show = true): Promise<void> {
    const added: Item[] = [];
    for (const { name, blob } of files) {
      if (name.toLowerCase().endsWith(".tflite")) {
        await this.useModel(name, blob);
        continue;
      }
      const item = newItem(name);
      this.files.set(item.id, blob);
      this.items.push(item);
      added.push(item);
      this.enqueue(item);
    }
    if (!added.length) return;
    this.onChange(null);
    if (show || !this.current) void this.show(added[0]);
    for (const item of added) await this.keep(item);
  }

  async useModel(name: string, blob: Blob): Promise<void> {
    try {
      this.threads = await this.engine.loadModel(name, blob);
      this.modelName = name;
      this.onMessage(`Model: ${name}. It outlines what you open from now on; "Outline again" uses it here.`);
    } catch (error) {
      this.onMessage(`${name}: ${(error as Error).message}`);
    }
    this.onChange(null);
  }

  /** Outlines the current radiograph again with the model in use; corrections go, and can be undone. */
  async outlineAgain(): Promise<void> {
    const item = this.current;
    if (!item) return;
    const before = item.sides;
    await this.outline(item);
    if (item.status === "outlined") this.remember(item, before);
  }

  async show(item: Item): Promise<void> {
    this.current = item;
    this.radiograph = this.pixels.get(item.id) ?? null;
    this.onChange(null);
    if (this.radiograph || item.status !== "outlined") return;
    try {
      const { radiograph } = await this.engine.open(item.name, await this.fileOf(item), false);
      this.keepPixels(item, radiograph);
    } catch (error) {
      this.onMessage(`${item.name}: ${(error as Error).message}`);
    }
    if (this.current === item) {
      this.radiograph = this.pixels.get(item.id) ?? null;
      this.onChange(item);
    }
  }

  step(by: number): void {
    const place = this.items.indexOf(this.current!) + by;
    if (this.items[place]) void this.show(this.items[place]);
  }

  /** Shows the least trusted radiograph that nobody has checked. */
  next(): void {
    const open = this.items.filter((item) => item.status === "outlined" && !item.checked && item !== this.current);
    open.sort((a, b) => a.score - b.score);
    if (open.length) void this.show(open[0]);
    else this.onMessage("All radiographs are checked.");
  }

  check(checked = true): void {
    const item = this.current;
    if (item?.status !== "outlined") return;
    item.checked = checked;
    this.stamp(item);
  }

  /** Changes one side of the current radiograph; `merge` joins it with the last change, as one step to undo. */
  edit(side: Side, state: Partial<SideState>, merge = false): void {
    const item = this.current;
    if (item?.status !== "outlined") return;
    if (!merge) this.remember(item, item.sides);
    item.sides = { ...item.sides, [side]: { ...item.sides[side], edited: true, ...state } };
    this.stamp(item);
  }

  undo(): void {
    this.travel("past", "future");
  }

  redo(): void {
    this.travel("future", "past");
  }

  canUndo(): boolean {
    return !!this.current && !!this.histories.get(this.current.id)?.past.length;
  }

  canRedo(): boolean {
    return !!this.current && !!this.histories.get(this.current.id)?.future.length;
  }

  async remove(item: Item): Promise<void> {
    const place = this.items.indexOf(item);
    this.items.splice(place, 1);
    for (const map of [this.files, this.pixels, this.histories]) map.delete(item.id);
    await (await this.store)?.remove(item.id);
    if (this.current !== item) return this.onChange(null);
    this.current = this.radiograph = null;
    const other = this.items[Math.min(place, this.items.length - 1)];
    if (other) await this.show(other);
    else this.onChange(null);
  }

  async removeAll(): Promise<void> {
    for (const item of [...this.items]) await this.remove(item);
  }

  setInitials(initials: string): void {
    this.initials = initials.trim();
    localStorage.setItem("initials", this.initials);
  }

  /** Reads a radiograph's pixels for saving; nothing is kept. */
  async read(item: Item): Promise<Radiograph> {
    return this.pixels.get(item.id) ?? (await this.engine.open(item.name, await this.fileOf(item), false)).radiograph;
  }

  progress(): { checked: number; outlined: number; failed: number; waiting: number } {
    const count = (test: (item: Item) => boolean) => this.items.filter(test).length;
    return {
      checked: count((item) => item.checked),
      outlined: count((item) => item.status === "outlined"),
      failed: count((item) => item.status === "failed"),
      waiting: count((item) => item.status === "waiting"),
    };
  }

  /** Whether something would be lost if the page were closed now. */
  isUnsaved(): boolean {
    return this.keeping > 0 || this.files.size > 0;
  }

  private async useShippedModel(): Promise<void> {
    try {
      this.threads = await this.engine.loadModel(SHIPPED, null);
      this.modelName = SHIPPED;
    } catch (error) {
      this.onMessage(`model.tflite: ${(error as Error).message}. Drop a .tflite file of crass-tf export here.`);
    }
    this.onChange(null);
  }

  private enqueue(item: Item): void {
    this.queue = this.queue.then(() => (this.items.includes(item) ? this.outline(item) : undefined));
  }

  private async outline(item: Item): Promise<void> {
    const start = performance.now();
    try {
      const opened = await this.engine.open(item.name, await this.fileOf(item), true);
      this.take(item, opened);
      this.milliseconds = { all: performance.now() - start, steps: opened.milliseconds };
    } catch (error) {
      item.status = "failed";
      item.error = (error as Error).message;
    }
    if (this.current === item) this.radiograph = this.pixels.get(item.id) ?? null;
    this.onChange(item);
    void this.keep(item);
    if (this.pixels.has(item.id) && !item.thumbnail) {
      item.thumbnail = await thumbnailOf(this.pixels.get(item.id)!);
      void this.keep(item);
      this.onChange(item);
    }
  }

  private take(item: Item, { radiograph, segmentation, model }: Opened): void {
    const { width, height, spacing, mirrored, notes } = radiograph;
    const { rings, scores, score, refusal } = segmentation!;
    const side = (name: Side): SideState => ({ verdict: "outlined", rings: rings[name], edited: false });
    Object.assign(item, { status: "outlined", error: null, width, height, spacing, mirrored, notes, scores, score, refusal });
    Object.assign(item, { predicted: rings, model, sides: { right: side("right"), left: side("left") }, checked: false });
    this.keepPixels(item, radiograph);
  }

  private keepPixels(item: Item, radiograph: Radiograph): void {
    this.pixels.delete(item.id);
    this.pixels.set(item.id, radiograph);
    for (const id of this.pixels.keys()) {
      if (this.pixels.size <= KEPT) break;
      if (id !== this.current?.id) this.pixels.delete(id);
    }
  }

  private async fileOf(item: Item): Promise<Blob> {
    const file = this.files.get(item.id) ?? (await (await this.store)?.file(item.id));
    if (!file) throw new Error("the file is no longer there; open it again");
    return file;
  }

  private remember(item: Item, before: Sides): void {
    const history = this.histories.get(item.id) ?? { past: [], future: [] };
    this.histories.set(item.id, { past: [...history.past, before], future: [] });
  }

  private travel(from: keyof History, to: keyof History): void {
    const item = this.current;
    const history = item && this.histories.get(item.id);
    const sides = history?.[from].pop();
    if (!item || !history || !sides) return;
    history[to].push(item.sides);
    item.sides = sides;
    this.stamp(item);
  }

  private stamp(item: Item): void {
    item.changed = new Date().toISOString();
    item.initials = this.initials;
    this.onChange(item);
    void this.keep(item);
  }

  /** Autosave. */
  private async keep(item: Item): Promise<void> {
    // One that was closed meanwhile would come back.
    if (!this.items.includes(item)) return;
    this.keeping++;
    try {
      const store = await this.store;
      const file = this.files.get(item.id);
      await (file ? store?.add(item, file) : store?.update(item));
      // From now on the browser's own copy is read, from the disk.
      if (store) this.files.delete(item.id);
    } catch {
      this.onMessage(`${item.name}: the browser has no room to keep this; save before you close the page.`);
    } finally {
      this.keeping--;
    }
  }
}

export { flags, isEdited, SIDES };
