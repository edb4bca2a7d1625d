/** The engine in this browser: asks the worker. */
import wasmUrl from "onnxruntime-web/ort-wasm-simd-threaded.wasm?url";
import { Ring } from "../audio/microphone";
import { strings } from "../strings.en";
import { type Model, PageError, type Recording, type Window } from "../types";
import { type Engine, HOP_S, type Listening, type Live, WINDOW_S } from "./engine";
import type { Ask, Tell } from "./messages";
import { toPrediction, toWindow } from "./said";

const LEAST_LIVE_S = 1; // of sound, before anything is said of it

export class BrowserEngine implements Engine {
  readonly where = "browser";
  readonly ready: Promise<void>;
  private readonly worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
  private readonly jobs = new Map<number, (message: Tell) => void>();
  private nextJob = 1;

  constructor(
    private readonly model: Model,
    modelUrl: string,
    token: string,
    onProgress: (loaded: number, total: number) => void,
  ) {
    this.ready = new Promise((resolve, reject) => {
      this.worker.onmessage = ({ data }: MessageEvent<Tell>) => {
        if (data.kind === "progress") onProgress(data.loaded, data.total);
        else if (data.kind === "ready") resolve();
        else if (data.job !== undefined) this.jobs.get(data.job)?.(data);
        else reject(new Error(data.kind === "fault" ? data.message : data.kind));
      };
      this.worker.onerror = (event) => reject(new Error(event.message));
    });
    this.ready.catch(() => undefined); // whoever waits for it is told; nobody may be waiting yet
    const here = new URL(".", document.baseURI);
    this.ask({
      kind: "load",
      model,
      modelUrl: new URL(modelUrl, here).href,
      wasmUrl: new URL(wasmUrl, document.baseURI).href,
      token,
    });
  }

  async hear(recording: Recording, listening: Listening, signal: AbortSignal): Promise<void> {
    await this.ready;
    if (signal.aborted) return;
    const job = this.nextJob++;
    const waiting: Window[] = [];
    await new Promise<void>((resolve, reject) => {
      const end = (finish: () => void): void => {
        this.jobs.delete(job);
        finish();
      };
      signal.addEventListener("abort", () => {
        this.ask({ kind: "cancel", job });
        end(resolve);
      });
      this.jobs.set(job, (message) => {
        if (message.kind === "heard")
          listening.onPrediction(toPrediction(message.heard, this.model, recording), message.tookMs);
        else if (message.kind === "window") {
          waiting.push(message.window);
          listening.onWindows([...waiting], message.done / message.of);
        } else if (message.kind === "finished") end(resolve);
        else if (message.kind === "fault")
          end(() => reject(new PageError(strings.errors.network(message.message), strings.errors.networkNext)));
      });
      const samples = recording.mono.slice();
      this.ask({ kind: "hear", job, samples, rate: recording.rate, windowS: WINDOW_S, hopS: HOP_S }, [samples.buffer]);
    });
  }

  live(rate: number, onWindow: (window: Window) => void, onError: (error: Error) => void): Live {
    const ring = new Ring(Math.round(WINDOW_S * rate));
    let due = LEAST_LIVE_S * rate;
    let busy = false;
    let stopped = false;
    return {
      push: (block) => {
        ring.push(block);
        if (ring.total < due || stopped) return;
        due += HOP_S * rate;
        if (busy) return; // a slow machine says less often what it hears, but never falls behind
        busy = true;
        const samples = ring.last();
        const [endS, lengthS] = [ring.total / rate, samples.length / rate];
        const job = this.nextJob++;
        this.jobs.set(job, (message) => {
          busy = false;
          this.jobs.delete(job);
          if (stopped) return;
          if (message.kind === "heard")
            onWindow(toWindow(message.heard, this.model, endS - lengthS, endS, endS - lengthS));
          else if (message.kind === "fault")
            onError(new PageError(strings.errors.network(message.message), strings.errors.networkNext));
        });
        this.ask({ kind: "window", job, samples, rate }, [samples.buffer]);
      },
      stop: () => {
        stopped = true;
      },
    };
  }

  private ask(message: Ask, transfer: Transferable[] = []): void {
    this.worker.postMessage(message, transfer);
  }
}
