// The list of radiographs: thumbnail, score, flags.
import { type App, flags, isEdited } from "./app";
import type { Item } from "./item";

export class List {
  private readonly entries = new Map<string, { row: HTMLLIElement; url: string | null }>();

  constructor(
    private readonly app: App,
    private readonly list: HTMLOListElement,
    private readonly progress: HTMLElement,
  ) {}

  /** Draws one entry again, or all. */
  draw(item: Item | null): void {
    const { app } = this;
    if (item && this.entries.has(item.id)) this.fill(item);
    else {
      for (const id of this.entries.keys()) if (!app.items.some((known) => known.id === id)) this.forget(id);
      for (const known of app.items) this.fill(known);
      this.list.replaceChildren(...app.items.map((known) => this.entries.get(known.id)!.row));
    }
    const { checked, outlined, failed, waiting } = app.progress();
    const parts = [`${checked} of ${outlined} checked`];
    if (waiting) parts.push(`${waiting} waiting`);
    if (failed) parts.push(`${failed} not opened`);
    this.progress.textContent = app.items.length ? parts.join(", ") : "No radiographs yet.";
  }

  private forget(id: string): void {
    const entry = this.entries.get(id)!;
    if (entry.url) URL.revokeObjectURL(entry.url);
    this.entries.delete(id);
  }

  private fill(item: Item): void {
    let entry = this.entries.get(item.id);
    if (!entry) {
      entry = { row: document.createElement("li"), url: null };
      this.entries.set(item.id, entry);
      entry.row.append(this.button(item));
    }
    if (item.thumbnail && !entry.url) {
      entry.url = URL.createObjectURL(item.thumbnail);
      const picture = new Image();
      picture.alt = "";
      picture.src = entry.url;
      entry.row.querySelector(".blank")?.replaceWith(picture);
    }
    const button = entry.row.firstElementChild as HTMLButtonElement;
    const current = item === this.app.current;
    if (current && button.getAttribute("aria-current") !== "true") this.scrollTo(entry.row);
    button.setAttribute("aria-current", String(current));
    entry.row.className = item.status;
    button.querySelector("small")!.textContent = describe(item);
  }

  /** Scrolls the list, not the page, which would lose the picture on small screens. */
  private scrollTo(row: HTMLLIElement): void {
    const view = this.list.parentElement!;
    const [top, bottom] = [row.offsetTop - view.offsetTop, row.offsetTop - view.offsetTop + row.offsetHeight];
    if (top < view.scrollTop) view.scrollTop = top;
    else if (bottom > view.scrollTop + view.clientHeight) view.scrollTop = bottom - view.clientHeight;
  }

  private button(item: Item): HTMLButtonElement {
    const button = document.createElement("button");
    const [blank, words, name] = [document.createElement("span"), document.createElement("span"), document.createElement("strong")];
    blank.className = "blank";
    name.textContent = item.name;
    words.append(name, document.createElement("small"));
    button.append(blank, words);
    button.addEventListener("click", () => void this.app.show(item));
    return button;
  }
}

function describe(item: Item): string {
  const words = item.status === "outlined" ? [`score ${item.score.toFixed(2)}`] : [];
  if (isEdited(item)) words.push("corrected");
  if (item.checked) words.push("checked ✓");
  return [...words, ...flags(item)].join(" · ");
}
