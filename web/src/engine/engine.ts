/** What recognises: this browser, or a server; the page does not care which. */
import type { Prediction, Recording, Window } from "../types";

export const WINDOW_S = 3;
export const HOP_S = 0.5;

export interface Listening {
  onPrediction(prediction: Prediction, tookMs: number): void;
  /** Windows in the order of time, as they are ready; `share` of all, 0 to 1. */
  onWindows(windows: Window[], share: number): void;
}

export interface Live {
  push(block: Float32Array): void;
  stop(): void;
}

export interface Engine {
  readonly where: "browser" | "server";
  /** The whole of a recording, then its windows. */
  hear(recording: Recording, listening: Listening, signal: AbortSignal): Promise<void>;
  /** Sound as it comes; a window each half second. */
  live(rate: number, onWindow: (window: Window) => void, onError: (error: Error) => void): Live;
}
