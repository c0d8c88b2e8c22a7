// Where the milliseconds of a radiograph go.

/** `wait`: for the model, on a page just opened. */
export type Step = "decode" | "wait" | "resize" | "model" | "warp" | "contour";

export class Stopwatch {
  readonly milliseconds: Partial<Record<Step, number>> = {};
  private last = performance.now();

  /** Books the time since the last step ended. */
  lap(step: Step): void {
    const now = performance.now();
    this.milliseconds[step] = now - this.last;
    this.last = now;
  }
}
