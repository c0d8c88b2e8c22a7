// Pointer and keys on the picture: moving it, its window, and correcting outlines.
import type { App } from "./app";
import type { Ring } from "./contours";
import { nearestOnLine, nearestPoint, simplified, withNewPoint, withoutPoint, withPoint } from "./polygon";
import type { Viewer } from "./viewer";

export type Tool = "move" | "window" | "correct" | "redraw";

// Screen pixels within which a point or a line is meant; fingers are wider.
const REACH = { mouse: 9, touch: 22 };
// Native pixels by which points for hands may depart from the outline.
const TOLERANCE = 0.4;
const STROKE_STEP = 3;

export class Editor {
  tool: Tool = "move";
  onTool: () => void = () => {};
  private readonly pointers = new Map<number, [number, number]>();
  private drag: "pan" | "window" | "point" | "stroke" | null = null;

  constructor(
    private readonly app: App,
    private readonly viewer: Viewer,
    private readonly canvas: HTMLCanvasElement,
  ) {
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel"] as const) canvas.addEventListener(name, (event) => this.up(event));
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        viewer.zoom(Math.exp(-event.deltaY / 400), event.offsetX, event.offsetY);
      },
      { passive: false },
    );
  }

  setTool(tool: Tool): void {
    this.tool = tool;
    if (tool === "correct") this.prepare();
    this.choose(null);
    this.onTool();
  }

  /** Gives the chosen side fewer points, which hands can drag; the shape stays within a third of a pixel. */
  prepare(): void {
    const { current: item, side } = this.app;
    if (item?.status !== "outlined" || item.sides[side].edited) return;
    const { verdict } = item.sides[side];
    if (verdict !== "outlined") return;
    this.handles = item.sides[side].rings.map((ring) => simplified(ring, TOLERANCE));
    this.handlesOf = item.sides[side].rings;
  }

  /** Returns the outline whose points are shown. */
  rings(): Ring[] {
    const { current: item, side } = this.app;
    if (item?.status !== "outlined") return [];
    const { rings, edited } = item.sides[side];
    if (edited) return rings;
    if (this.handlesOf !== rings) this.prepare();
    return this.handles;
  }

  /** Zooms about the chosen point, else about the clavicle to correct, else about the middle of the view. */
  zoom(factor: number): void {
    const { chosen } = this.viewer.scene;
    const rings = this.rings();
    const { clientWidth, clientHeight } = this.canvas;
    const points = chosen && rings[chosen.ring] ? rings[chosen.ring].subarray(2 * chosen.point, 2 * chosen.point + 2) : rings[0];
    const middle = (axis: number) => {
      const values = points.filter((_, i) => i % 2 === axis);
      return (Math.min(...values) + Math.max(...values)) / 2;
    };
    if (!points) return this.viewer.zoom(factor, clientWidth / 2, clientHeight / 2);
    const [x, y] = this.viewer.toScreen(middle(0), middle(1));
    this.viewer.zoom(factor, x, y);
    // Towards the middle, so that it stays in view.
    if (factor > 1) this.viewer.pan((clientWidth / 2 - x) / 2, (clientHeight / 2 - y) / 2);
  }

  /** Moves the choice to another point of the outline. */
  step(by: number): void {
    const rings = this.rings();
    if (!rings.length) return;
    const { chosen } = this.viewer.scene;
    const ring = Math.min(chosen?.ring ?? 0, rings.length - 1);
    const count = rings[ring].length / 2;
    this.choose({ ring, point: chosen ? (chosen.point + by + count) % count : 0 });
  }

  /** Moves the chosen point, or the picture where there is none. */
  nudge(dx: number, dy: number, step: number): void {
    const { chosen } = this.viewer.scene;
    const rings = this.rings();
    if (this.tool !== "correct" || !chosen || !rings[chosen.ring]) {
      this.viewer.pan(-40 * dx, -40 * dy);
      return;
    }
    const points = rings[chosen.ring];
    const [x, y] = [points[2 * chosen.point] + step * dx, points[2 * chosen.point + 1] + step * dy];
    this.app.edit(this.app.side, { rings: withPoint(rings, chosen.ring, chosen.point, x, y) });
  }

  /** Adds a point halfway to the next one; a new outline in the middle of the view where there is none. */
  insert(): void {
    const rings = this.rings();
    const { chosen } = this.viewer.scene;
    if (!rings.length) {
      const [x, y] = this.viewer.toNative(this.canvas.clientWidth / 2, this.canvas.clientHeight / 2);
      const [dx, dy] = [this.viewer.native(60), this.viewer.native(15)];
      this.app.edit(this.app.side, { verdict: "outlined", rings: [Float32Array.of(x - dx, y, x, y - dy, x + dx, y, x, y + dy)] });
      this.choose({ ring: 0, point: 0 });
      return;
    }
    const { ring, point } = chosen ?? { ring: 0, point: 0 };
    const points = rings[ring];
    const next = (2 * point + 2) % points.length;
    const middle = [(points[2 * point] + points[next]) / 2, (points[2 * point + 1] + points[next + 1]) / 2];
    this.app.edit(this.app.side, { rings: withNewPoint(rings, ring, point, middle[0], middle[1]) });
    this.choose({ ring, point: point + 1 });
  }

  removePoint(): void {
    const { chosen } = this.viewer.scene;
    const rings = this.rings();
    if (!chosen || !rings[chosen.ring]) return;
    const left = withoutPoint(rings, chosen.ring, chosen.point);
    this.app.edit(this.app.side, { rings: left });
    const ring = left[chosen.ring];
    this.choose(ring && left.length === rings.length ? { ring: chosen.ring, point: chosen.point % (ring.length / 2) } : null);
  }

  private handles: Ring[] = [];
  private handlesOf: Ring[] | null = null;

  private choose(chosen: { ring: number; point: number } | null): void {
    this.viewer.scene.chosen = chosen;
    this.viewer.draw();
  }

  private down(event: PointerEvent): void {
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
    if (this.pointers.size > 1) {
      // A second finger: the picture moves, nothing is drawn.
      this.viewer.scene.stroke = [];
      this.drag = "pan";
      return;
    }
    if (event.button === 2 || this.tool === "window") this.drag = "window";
    else if (event.button === 1 || this.tool === "move") this.drag = "pan";
    else if (this.tool === "redraw") this.drag = "stroke";
    else this.drag = this.grab(event) ? "point" : "pan";
    if (this.drag === "stroke") this.viewer.scene.stroke = [...this.viewer.toNative(event.offsetX, event.offsetY)];
  }

  /** Chooses the point under the pointer, or makes one on the line; removes it with Alt. */
  private grab(event: PointerEvent): boolean {
    const [x, y] = this.viewer.toNative(event.offsetX, event.offsetY);
    const reach = this.viewer.native(event.pointerType === "touch" ? REACH.touch : REACH.mouse);
    const rings = this.rings();
    const point = nearestPoint(rings, x, y);
    if (point && point.distance <= reach) {
      this.choose(point);
      if (event.altKey) this.removePoint();
      else this.app.edit(this.app.side, { rings });
      return !event.altKey;
    }
    const line = nearestOnLine(rings, x, y);
    if (!line || line.distance > reach) {
      this.choose(null);
      return false;
    }
    this.app.edit(this.app.side, { rings: withNewPoint(rings, line.ring, line.point, x, y) });
    this.choose({ ring: line.ring, point: line.point + 1 });
    return true;
  }

  private move(event: PointerEvent): void {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const [dx, dy] = [event.offsetX - before[0], event.offsetY - before[1]];
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    this.pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
    if (other) {
      const far = (place: [number, number]) => Math.hypot(place[0] - other[0], place[1] - other[1]) || 1;
      this.viewer.zoom(far([event.offsetX, event.offsetY]) / far(before), other[0], other[1]);
    } else if (this.drag === "pan") {
      this.viewer.pan(dx, dy);
    } else if (this.drag === "window") {
      this.viewer.setWindow(this.viewer.level + dy / 2, this.viewer.width - dx / 2);
      this.onTool();
    } else if (this.drag === "point") {
      const chosen = this.viewer.scene.chosen!;
      const [x, y] = this.viewer.toNative(event.offsetX, event.offsetY);
      this.app.edit(this.app.side, { rings: withPoint(this.rings(), chosen.ring, chosen.point, x, y) }, true);
    } else if (this.drag === "stroke") {
      const { stroke } = this.viewer.scene;
      const [x, y] = this.viewer.toNative(event.offsetX, event.offsetY);
      if (Math.hypot(x - stroke.at(-2)!, y - stroke.at(-1)!) > this.viewer.native(STROKE_STEP)) stroke.push(x, y);
      this.viewer.draw();
    }
  }

  private up(event: PointerEvent): void {
    this.pointers.delete(event.pointerId);
    if (this.drag === "stroke" && event.type === "pointerup") this.finishStroke();
    if (!this.pointers.size) this.drag = null;
  }

  private finishStroke(): void {
    const { stroke } = this.viewer.scene;
    this.viewer.scene.stroke = [];
    if (stroke.length >= 6) {
      const ring = simplified(Float32Array.from(stroke), TOLERANCE);
      this.app.edit(this.app.side, { verdict: "outlined", rings: [ring] });
      this.setTool("correct");
    }
    this.viewer.draw();
  }
}
