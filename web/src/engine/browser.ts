/** The engine in this browser: sends jobs to the worker. */
import wasmUrl from "onnxruntime-web/ort-wasm-simd-threaded.wasm?url";
import { Ring } from "../audio/microphone";
import { strings } from "../language";
import { type Model, PageError, type Recording, type Window } from "../types";
import { type Engine, HOP_S, type Callbacks, type Live, WINDOW_S } from "./engine";
import type { NetworkOutput, WorkerRequest, WorkerReply } from "./messages";
import { toPrediction, toTimeline, toWindow } from "./predictions";
import { cautionsOverTime, isLong, meanRatings, summarise } from "./summary";

const LEAST_LIVE_S = 1; // of sound, before the first answer

export class BrowserEngine implements Engine {
  readonly where = "browser";
  readonly ready: Promise<void>;
  private readonly worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
  private readonly jobs = new Map<number, (message: WorkerReply) => void>();
  private nextJob = 1;

  constructor(
    private readonly model: Model,
    modelUrl: string,
    token: string,
    onProgress: (loaded: number, total: number) => void,
  ) {
    this.ready = new Promise((resolve, reject) => {
      this.worker.onmessage = ({ data }: MessageEvent<WorkerReply>) => {
        if (data.kind === "progress") onProgress(data.loaded, data.total);
        else if (data.kind === "ready") resolve();
        else if (data.job !== undefined) this.jobs.get(data.job)?.(data);
        else reject(new Error(data.kind === "fault" ? data.message : data.kind));
      };
      this.worker.onerror = (event) => reject(new Error(event.message));
    });
    this.ready.catch(() => undefined); // avoids an unhandled rejection before anything awaits it
    const here = new URL(".", document.baseURI);
    this.post({
      kind: "load",
      model,
      modelUrl: new URL(modelUrl, here).href,
      wasmUrl: new URL(wasmUrl, document.baseURI).href,
      token,
    });
  }

  async recognise(recording: Recording, callbacks: Callbacks, signal: AbortSignal): Promise<void> {
    await this.ready;
    if (signal.aborted) return;
    const job = this.nextJob++;
    const start = performance.now();
    const waiting: Window[] = [];
    const spoken: NetworkOutput[] = []; // for the windows with speech
    await new Promise<void>((resolve, reject) => {
      const end = (finish: () => void): void => {
        this.jobs.delete(job);
        finish();
      };
      signal.addEventListener("abort", () => {
        this.post({ kind: "cancel", job });
        end(resolve);
      });
      this.jobs.set(job, (message) => {
        if (message.kind === "recognised")
          callbacks.onPrediction(toPrediction(message.output, this.model, recording), message.tookMs);
        else if (message.kind === "window") {
          waiting.push(message.window);
          if (message.window.speech) spoken.push(message.output);
          callbacks.onWindows([...waiting], message.done / message.of);
        } else if (message.kind === "finished") {
          if (isLong(recording.durationS)) {
            const warnings = cautionsOverTime(spoken, this.model, recording);
            const { name, durationS } = recording;
            const ratings = meanRatings(spoken, this.model);
            const timeline = toTimeline(waiting, this.model, name, durationS, WINDOW_S, HOP_S, warnings, 0, ratings);
            callbacks.onPrediction(summarise(timeline), performance.now() - start);
          }
          end(resolve);
        }
        else if (message.kind === "fault")
          end(() => reject(new PageError(strings.errors.network(message.message), strings.errors.networkNext)));
      });
      const samples = recording.mono.slice();
      this.post({ kind: "recognise", job, samples, rate: recording.rate, windowS: WINDOW_S, hopS: HOP_S }, [samples.buffer]);
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
        if (busy) return; // a slow machine answers less often, but never falls behind
        busy = true;
        const samples = ring.last();
        const [endS, lengthS] = [ring.total / rate, samples.length / rate];
        const job = this.nextJob++;
        this.jobs.set(job, (message) => {
          busy = false;
          this.jobs.delete(job);
          if (stopped) return;
          if (message.kind === "recognised")
            onWindow(toWindow(message.output, this.model, endS - lengthS, endS, endS - lengthS));
          else if (message.kind === "fault")
            onError(new PageError(strings.errors.network(message.message), strings.errors.networkNext));
        });
        this.post({ kind: "window", job, samples, rate }, [samples.buffer]);
      },
      stop: () => {
        stopped = true;
      },
    };
  }

  private post(message: WorkerRequest, transfer: Transferable[] = []): void {
    this.worker.postMessage(message, transfer);
  }
}
