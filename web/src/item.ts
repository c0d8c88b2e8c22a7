// What the page knows of one radiograph; all but the file's bytes and the pixels.
import type { Ring } from "./contours";
import type { Spacing } from "./formats/content";
import type { Side } from "./segmentation";

/** `absent`: there is no such clavicle. `not visible`: nobody could outline it, so nothing is to be learned from it. */
export type Verdict = "outlined" | "absent" | "not visible";

/** One side as it is now; never changed in place, so that earlier ones can be returned to. */
export interface SideState {
  verdict: Verdict;
  rings: Ring[];
  edited: boolean;
}

export type Sides = Record<Side, SideState>;

export interface Item {
  id: string;
  name: string;
  status: "waiting" | "outlined" | "failed";
  /** Why it failed, in one line. */
  error: string | null;
  width: number;
  height: number;
  spacing: Spacing | null;
  mirrored: boolean;
  notes: string[];
  scores: Record<Side, number>;
  score: number;
  refusal: string | null;
  /** What the model found, and its name. */
  predicted: Record<Side, Ring[]>;
  model: string;
  sides: Sides;
  checked: boolean;
  initials: string;
  /** When it was last corrected or checked, ISO 8601; null for never. */
  changed: string | null;
  thumbnail: Blob | null;
}

export function newItem(name: string): Item {
  const nothing = (): SideState => ({ verdict: "outlined", rings: [], edited: false });
  return {
    id: crypto.randomUUID(),
    name,
    status: "waiting",
    error: null,
    width: 0,
    height: 0,
    spacing: null,
    mirrored: false,
    notes: [],
    scores: { right: 0, left: 0 },
    score: 0,
    refusal: null,
    predicted: { right: [], left: [] },
    model: "",
    sides: { right: nothing(), left: nothing() },
    checked: false,
    initials: "",
    changed: null,
    thumbnail: null,
  };
}

/** Returns what a reader should look at, a few words each. */
export function flags(item: Item): string[] {
  if (item.status === "failed") return [item.error ?? "failed"];
  if (item.status === "waiting") return ["waiting"];
  const found: string[] = [];
  if (item.refusal && !isEdited(item)) found.push(`refused: ${item.refusal}`);
  for (const side of ["right", "left"] as const) {
    const { verdict, rings } = item.sides[side];
    if (verdict !== "outlined") found.push(`${side}: ${verdict}`);
    else if (!rings.length && !item.refusal) found.push(`${side}: nothing found`);
  }
  if (item.mirrored) found.push("mirrored");
  return found;
}

export function isEdited(item: Item): boolean {
  return item.sides.right.edited || item.sides.left.edited;
}
