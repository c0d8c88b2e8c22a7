// The table of what was found and measured.
import { type App, flags } from "./app";
import { totalArea } from "./polygon";
import { type Side, SIDES } from "./segmentation";
import type { Length, Measures } from "./measures";

type Row = [string, (side: Side) => string];

export function drawFindings(app: App, measures: Measures | null, place: HTMLElement): void {
  const { current: item } = app;
  if (!item) {
    place.replaceChildren();
    return;
  }
  if (item.status !== "outlined") {
    place.replaceChildren(paragraph(item.name), paragraph(flags(item).join("; "), item.status === "failed" ? "bad" : ""));
    return;
  }
  const { spacing, sides } = item;
  const length = (found?: Length | null) => (!found ? "–" : found.mm !== null ? `${found.mm.toFixed(1)} mm` : `${found.pixels.toFixed(0)} pixels`);
  const rows: Row[] = [
    ["Score", (side) => item.scores[side].toFixed(2)],
    ["State", (side) => (sides[side].verdict !== "outlined" ? sides[side].verdict : sides[side].edited ? "corrected" : sides[side].rings.length ? "unchanged" : "nothing found")],
    ["Area", (side) => area(totalArea(sides[side].verdict === "outlined" ? sides[side].rings : []), spacing)],
  ];
  if (measures) {
    rows.push(
      ["Length", (side) => length(measures[side]?.length)],
      ["Width", (side) => length(measures[side]?.width)],
      ["Angle", (side) => (measures[side] ? `${measures[side].angleDeg.toFixed(0)}°` : "–")],
      ["To midline", (side) => length(measures[side]?.toMidline)],
    );
  }
  const table = document.createElement("table");
  table.createCaption().textContent = item.name;
  const head = table.createTHead().insertRow();
  head.insertCell();
  for (const side of SIDES) {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.className = side;
    cell.textContent = side === "right" ? "Right" : "Left";
    head.append(cell);
  }
  const body = table.createTBody();
  for (const [name, value] of rows) {
    const row = body.insertRow();
    const cell = document.createElement("th");
    cell.scope = "row";
    cell.textContent = name;
    row.append(cell);
    for (const side of SIDES) row.insertCell().textContent = value(side);
  }
  const size = `${item.width} x ${item.height} pixels, ${spacing ? `${spacing[0].toFixed(3)} x ${spacing[1].toFixed(3)} mm each` : "spacing unknown"}`;
  const remarks = [...flags(item), ...item.notes].map((text) => paragraph(text, text.startsWith("refused") ? "bad" : ""));
  place.replaceChildren(table, paragraph(size), ...remarks);
}

function area(pixels: number, spacing: [number, number] | null): string {
  return spacing ? `${(pixels * spacing[0] * spacing[1]).toFixed(0)} mm²` : `${pixels.toFixed(0)} pixels`;
}

function paragraph(text: string, kind = ""): HTMLParagraphElement {
  const line = document.createElement("p");
  line.textContent = text;
  line.className = kind;
  return line;
}
