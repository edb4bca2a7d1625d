/** What changes a model's answers: what it settled on, and the emotions that it may answer with (`emocatcher.recognition.settling`). */
import { facts } from "../facts";
import type { Model, Prediction, Recording, Settled, Window } from "../types";
import { type Callbacks, type Engine, HOP_S, type Live, WINDOW_S } from "./engine";
import { byLabel, toTimeline, withEmotion } from "./predictions";
import { isLong, summarise } from "./summary";

/** Settle on recordings by the plain model's answers for them; those without speech do not count. */
export function estimate(predictions: Prediction[], labels: string[]): Settled {
  const rows = predictions.filter(({ emotion }) => emotion !== null).map(({ probabilities }) => labels.map((label) => probabilities[label]));
  const n = rows.length;
  const mean = (of: (row: number[]) => number[]): number[] => {
    const sums = rows.map(of).reduce((sum, row) => sum.map((value, i) => value + row[i]), labels.map(() => 0));
    return sums.map((sum) => sum / n);
  };
  const common = mean((row) => {
    const logs = row.map((p) => Math.log(Math.max(p, 1e-30)));
    const level = logs.reduce((sum, value) => sum + value, 0) / logs.length;
    return logs.map((value) => value - level);
  });
  const entropy = -mean((row) => row).reduce((sum, p) => sum + p * Math.log(Math.max(p, 1e-30)), 0);
  const variety = Math.max(0, entropy / Math.log(labels.length));
  return { n_recordings: n, shift: common.map((value) => value * (n / (n + facts.settling.half)) * variety) };
}

/** Recognise a recording as a whole, without waiting for its windows. */
export async function predict(engine: Engine, recording: Recording): Promise<Prediction> {
  const job = new AbortController();
  const found: Prediction[] = [];
  const onPrediction = (prediction: Prediction): void => {
    found.push(prediction);
    job.abort();
  };
  await engine.recognise(recording, { onPrediction, onWindows: () => undefined }, job.signal);
  return found[0];
}

/** An engine whose answers are adjusted in this page, whichever engine gives them. */
export class AdjustedEngine implements Engine {
  settled: Settled | null;
  emotions: string[] | null = null; // in the model's order; null for all

  /** @param plain the engine of the plain answers */
  constructor(
    private readonly full: Model,
    public plain: Engine,
  ) {
    this.settled = full.settled ?? null;
  }

  get where(): "browser" | "server" {
    return this.plain.where;
  }

  /** The model, with only the emotions that it may answer with. */
  get model(): Model {
    return this.emotions ? { ...this.full, labels: this.emotions } : this.full;
  }

  get settledOn(): number {
    return this.settled?.n_recordings ?? 0;
  }

  async recognise(recording: Recording, callbacks: Callbacks, signal: AbortSignal): Promise<void> {
    const windows: Window[] = [];
    await this.plain.recognise(
      recording,
      {
        onWindows: (found, share) => {
          windows.push(...found.slice(windows.length).map((one) => this.window(one)));
          callbacks.onWindows([...windows], share);
        },
        onPrediction: (found, tookMs) => callbacks.onPrediction(this.prediction(found, recording, windows), tookMs),
      },
      signal,
    );
  }

  live(rate: number, onWindow: (window: Window) => void, onError: (error: Error) => void): Live {
    return this.plain.live(rate, (window) => onWindow(this.window(window)), onError);
  }

  private prediction(found: Prediction, recording: Recording, windows: Window[]): Prediction {
    if (isLong(recording.durationS)) {
      const { name, durationS } = recording;
      const { warnings, dimensions } = found;
      return summarise(toTimeline(windows, this.model, name, durationS, WINDOW_S, HOP_S, warnings, this.settledOn, dimensions));
    }
    const settled = { ...found, settled_on: this.settledOn };
    if (found.emotion === null || this.isPlain) return settled;
    const { labels, abstain_below } = this.model;
    return withEmotion(settled, labels, this.probabilities(found.probabilities), abstain_below);
  }

  private window(window: Window): Window {
    if (window.emotion === null || this.isPlain) return window;
    const { labels, abstain_below } = this.model;
    const probabilities = this.probabilities(window.probabilities);
    const probability = Math.max(...probabilities);
    return {
      ...window,
      emotion: labels[probabilities.indexOf(probability)],
      probability,
      abstain: probability < abstain_below,
      probabilities: byLabel(labels, probabilities),
    };
  }

  private get isPlain(): boolean {
    return this.settled === null && this.emotions === null;
  }

  /** @returns for each emotion that the model may answer with */
  private probabilities(plain: Record<string, number>): number[] {
    const { settled, full } = this;
    const least = settled ? Math.min(...settled.shift) : 0;
    const weighed = this.model.labels.map((label) =>
      settled ? plain[label] * Math.exp(least - settled.shift[full.labels.indexOf(label)]) : plain[label],
    );
    const total = weighed.reduce((sum, one) => sum + one, 0);
    return weighed.map((one) => one / total);
  }
}
