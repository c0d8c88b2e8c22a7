// Draws the radiograph with what lies on it; maps between the screen's pixels and the radiograph's.
import type { Ring } from "./contours";
import type { Item } from "./item";
import type { Radiograph } from "./radiograph";
import { type Side, SIDES } from "./segmentation";

const COLOURS: Record<Side, string> = { right: "#ffb454", left: "#5fd7ff" };
// Screen pixels: a point's radius, and the least distance of those drawn.
const HANDLE = 3.5;
const ROOM = 12;
const ZOOM_RANGE = [0.02, 60];

export interface Layers {
  outlines: boolean;
  labels: boolean;
  lines: boolean;
  midline: boolean;
}

export interface Scene {
  item: Item | null;
  radiograph: Radiograph | null;
  /** Whose points are shown, where they are, and which of them is chosen. */
  handles: Side | null;
  rings: Ring[];
  chosen: { ring: number; point: number } | null;
  /** What is being drawn by hand, x and y in turn. */
  stroke: number[];
  centreLines: Record<Side, Ring | null>;
  midline: Ring | null;
}

export class Viewer {
  layers: Layers = { outlines: true, labels: false, lines: false, midline: false };
  scene: Scene = { item: null, radiograph: null, handles: null, rings: [], chosen: null, stroke: [], centreLines: { right: null, left: null }, midline: null };
  level = 128;
  width = 255;

  private scale = 1;
  private x = 0;
  private y = 0;
  private picture: OffscreenCanvas | null = null;
  private pictureOf: Radiograph | null = null;
  private requested = false;

  constructor(private readonly canvas: HTMLCanvasElement) {
    new ResizeObserver(() => this.resize()).observe(canvas);
  }

  draw(): void {
    if (this.requested) return;
    this.requested = true;
    requestAnimationFrame(() => {
      this.requested = false;
      this.paint();
    });
  }

  fit(): void {
    const { radiograph } = this.scene;
    const { clientWidth, clientHeight } = this.canvas;
    if (!radiograph || !clientWidth || !clientHeight) return;
    this.scale = Math.min(clientWidth / radiograph.width, clientHeight / radiograph.height);
    this.x = (clientWidth - radiograph.width * this.scale) / 2;
    this.y = (clientHeight - radiograph.height * this.scale) / 2;
    this.draw();
  }

  pan(dx: number, dy: number): void {
    this.x += dx;
    this.y += dy;
    this.draw();
  }

  /** Zooms about a place of the canvas. */
  zoom(factor: number, x: number, y: number): void {
    const scale = Math.min(ZOOM_RANGE[1], Math.max(ZOOM_RANGE[0], this.scale * factor));
    this.x = x - ((x - this.x) * scale) / this.scale;
    this.y = y - ((y - this.y) * scale) / this.scale;
    this.scale = scale;
    this.draw();
  }

  setWindow(level: number, width: number): void {
    this.level = Math.min(255, Math.max(0, level));
    this.width = Math.min(255, Math.max(1, width));
    this.pictureOf = null;
    this.draw();
  }

  /** Returns the native coordinates of a place of the canvas; whole numbers are the pixels' centres. */
  toNative(x: number, y: number): [number, number] {
    return [(x - this.x) / this.scale - 0.5, (y - this.y) / this.scale - 0.5];
  }

  /** Returns the place of native coordinates on the canvas. */
  toScreen(x: number, y: number): [number, number] {
    return [(x + 0.5) * this.scale + this.x, (y + 0.5) * this.scale + this.y];
  }

  /** Returns how many native pixels a number of the screen's are. */
  native(pixels: number): number {
    return pixels / this.scale;
  }

  private resize(): void {
    const ratio = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(this.canvas.clientWidth * ratio);
    this.canvas.height = Math.round(this.canvas.clientHeight * ratio);
    this.fit();
    this.draw();
  }

  private paint(): void {
    const context = this.canvas.getContext("2d")!;
    const ratio = this.canvas.width / (this.canvas.clientWidth || 1);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    const { radiograph, item } = this.scene;
    if (!radiograph || !item) return;
    if (this.pictureOf !== radiograph) this.window(radiograph);
    context.setTransform(ratio * this.scale, 0, 0, ratio * this.scale, ratio * this.x, ratio * this.y);
    context.imageSmoothingEnabled = this.scale < 4;
    context.imageSmoothingQuality = "high";
    context.drawImage(this.picture!, 0, 0);
    // Outlines count from the first pixel's centre.
    context.translate(0.5, 0.5);
    context.lineWidth = 1.5 / this.scale;
    for (const side of SIDES) this.paintSide(context, item, side);
    if (this.layers.midline && this.scene.midline) this.paintLine(context, this.scene.midline, "#d7e36b", [6, 4]);
    this.paintStroke(context);
    this.paintNames(context, item, ratio);
  }

  private paintSide(context: CanvasRenderingContext2D, item: Item, side: Side): void {
    const { verdict, rings } = item.sides[side];
    if (verdict !== "outlined") return;
    const path = new Path2D();
    for (const ring of rings) {
      for (let i = 0; i < ring.length; i += 2) i ? path.lineTo(ring[i], ring[i + 1]) : path.moveTo(ring[i], ring[i + 1]);
      path.closePath();
    }
    context.strokeStyle = context.fillStyle = COLOURS[side];
    if (this.layers.labels) {
      context.globalAlpha = 0.4;
      context.fill(path, "evenodd");
      context.globalAlpha = 1;
    }
    if (this.layers.outlines) context.stroke(path);
    const line = this.scene.centreLines[side];
    if (this.layers.lines && line) this.paintLine(context, line, COLOURS[side], [3, 3]);
    if (this.scene.handles === side) this.paintHandles(context, this.scene.rings);
  }

  /** Draws the points that have room; zooming in shows the others. */
  private paintHandles(context: CanvasRenderingContext2D, rings: Ring[]): void {
    const [radius, room] = [HANDLE / this.scale, ROOM / this.scale];
    context.strokeStyle = "#000000";
    rings.forEach((ring, number) => {
      let [x, y] = [Infinity, Infinity];
      for (let i = 0; i < ring.length; i += 2) {
        const chosen = this.scene.chosen?.ring === number && this.scene.chosen.point === i / 2;
        if (!chosen && Math.hypot(ring[i] - x, ring[i + 1] - y) < room) continue;
        [x, y] = [ring[i], ring[i + 1]];
        context.beginPath();
        context.arc(x, y, chosen ? 2 * radius : radius, 0, 2 * Math.PI);
        if (chosen) context.fillStyle = "#ffffff";
        context.fill();
        context.stroke();
        if (chosen) context.fillStyle = COLOURS[this.scene.handles!];
      }
    });
  }

  private paintLine(context: CanvasRenderingContext2D, line: Ring, colour: string, dashes: number[]): void {
    context.beginPath();
    for (let i = 0; i < line.length; i += 2) context.lineTo(line[i], line[i + 1]);
    context.strokeStyle = colour;
    context.setLineDash(dashes.map((length) => length / this.scale));
    context.stroke();
    context.setLineDash([]);
  }

  private paintStroke(context: CanvasRenderingContext2D): void {
    const { stroke } = this.scene;
    if (stroke.length > 2) this.paintLine(context, Float32Array.from(stroke), "#ffffff", []);
  }

  /** Whose left and right it is, at the radiograph's upper corners. */
  private paintNames(context: CanvasRenderingContext2D, item: Item, ratio: number): void {
    const [left, right] = item.mirrored ? ["Left", "Right"] : ["Right", "Left"];
    const [x0, y] = this.toScreen(0, 0);
    const [x1] = this.toScreen(item.width - 1, 0);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.font = "600 14px system-ui, sans-serif";
    context.textBaseline = "top";
    context.fillStyle = "#ffffff";
    context.shadowColor = "#000000";
    context.shadowBlur = 4;
    const top = Math.max(6, y + 6);
    context.textAlign = "left";
    context.fillText(left, Math.max(6, x0 + 6), top);
    context.textAlign = "right";
    context.fillText(right, Math.min(this.canvas.clientWidth - 6, x1 - 6), top);
    context.shadowBlur = 0;
  }

  private window(radiograph: Radiograph): void {
    const { width, height, grey } = radiograph;
    if (this.picture?.width !== width || this.picture.height !== height) this.picture = new OffscreenCanvas(width, height);
    const context = this.picture.getContext("2d")!;
    const image = context.createImageData(width, height);
    const shown = new Uint32Array(image.data.buffer);
    const table = Uint32Array.from({ length: 256 }, (_, value) => {
      const level = Math.round(Math.min(1, Math.max(0, (value - this.level) / this.width + 0.5)) * 255);
      return (0xff000000 | (level << 16) | (level << 8) | level) >>> 0;
    });
    for (let i = 0; i < shown.length; i++) shown[i] = table[grey[i]];
    context.putImageData(image, 0, 0);
    this.pictureOf = radiograph;
  }
}
