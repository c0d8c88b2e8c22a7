// The worker as functions that return promises.
import type { Answer, Opened, Request } from "./worker";

type Unsent<T> = T extends Request ? Omit<T, "id"> : never;

export class Engine {
  private readonly worker = new Worker("worker.js");
  private readonly waiting = new Map<number, (answer: Answer) => void>();
  private next = 0;

  constructor() {
    this.worker.onmessage = ({ data }: MessageEvent<Answer>) => {
      this.waiting.get(data.id)?.(data);
      this.waiting.delete(data.id);
    };
    // Without a worker nothing would ever answer.
    this.worker.onerror = (event) => {
      for (const [id, answer] of this.waiting) answer({ id, error: `the page's worker stopped (${event.message || "no reason given"}); reload the page` });
      this.waiting.clear();
    };
  }

  /** Loads a `.tflite`, without one the page's own; returns the number of threads it runs on. */
  async loadModel(name: string, file: Blob | null): Promise<number> {
    return (await this.ask({ kind: "model", name, file })).threads!;
  }

  async open(name: string, file: Blob, outline: boolean): Promise<Opened> {
    return (await this.ask({ kind: "open", name, file, outline })).opened!;
  }

  private async ask(request: Unsent<Request>): Promise<Answer> {
    const id = this.next++;
    const answer = await new Promise<Answer>((resolve) => {
      this.waiting.set(id, resolve);
      this.worker.postMessage({ ...request, id });
    });
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer;
  }
}
