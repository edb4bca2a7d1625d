/** What the page and its worker say to each other. */
import type { Model, Window } from "../types";

export type Ask =
  | { kind: "load"; model: Model; modelUrl: string; wasmUrl: string; token: string }
  | { kind: "hear"; job: number; samples: Float32Array; rate: number; windowS: number; hopS: number }
  | { kind: "window"; job: number; samples: Float32Array; rate: number }
  | { kind: "cancel"; job: number };

/** What the network said of a stretch of sound. */
export interface Heard {
  probabilities: number[];
  attention: number[];
  voicedStartS: number;
  voicedEndS: number;
  durationS: number;
  rmsDb: number; // of the voiced span, below full scale
  silent: boolean; // no sound at all
  quiet: boolean; // nothing loud enough to be a voice near a microphone
}

export type Tell =
  | { kind: "progress"; loaded: number; total: number }
  | { kind: "ready"; loadMs: number }
  | { kind: "fault"; message: string; job?: number }
  | { kind: "heard"; job: number; heard: Heard; tookMs: number }
  | { kind: "window"; job: number; window: Window; done: number; of: number }
  | { kind: "finished"; job: number };
