/** The interface of both engines: this browser, and a server. */
import type { Prediction, Recording, Window } from "../types";

export const WINDOW_S = 3;
export const HOP_S = 0.5;

export interface Callbacks {
  onPrediction(prediction: Prediction, tookMs: number): void;
  /** All windows so far, in order of time; `share` of the total, 0 to 1. */
  onWindows(windows: Window[], share: number): void;
}

export interface Live {
  push(block: Float32Array): void;
  stop(): void;
}

export interface Engine {
  readonly where: "browser" | "server";
  /** Recognise a recording as a whole, and its windows. */
  recognise(recording: Recording, callbacks: Callbacks, signal: AbortSignal): Promise<void>;
  /** Recognise live sound; one window per half second. */
  live(rate: number, onWindow: (window: Window) => void, onError: (error: Error) => void): Live;
}
