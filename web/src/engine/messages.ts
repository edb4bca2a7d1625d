/** Messages between the page and its worker. */
import type { Model, Window } from "../types";

export type WorkerRequest =
  | { kind: "load"; model: Model; modelUrl: string; wasmUrl: string; token: string }
  | { kind: "recognise"; job: number; samples: Float32Array; rate: number; windowS: number; hopS: number }
  | { kind: "window"; job: number; samples: Float32Array; rate: number }
  | { kind: "cancel"; job: number };

/** The network's output for one stretch of sound. */
export interface NetworkOutput {
  probabilities: number[];
  attention: number[];
  dimensions: number[]; // of a model that estimates some
  voicedStartS: number;
  voicedEndS: number;
  durationS: number;
  rmsDb: number; // of the voiced span, below full scale
  speech: boolean;
  loudestDb: number; // the loudest cell of the voiced span
  highDb: number; // of its loudest cell above the telephone band, relative to `loudestDb`
}

export type WorkerReply =
  | { kind: "progress"; loaded: number; total: number }
  | { kind: "ready"; loadMs: number }
  | { kind: "fault"; message: string; job?: number }
  | { kind: "recognised"; job: number; output: NetworkOutput; tookMs: number }
  | { kind: "window"; job: number; window: Window; output: NetworkOutput; done: number; of: number }
  | { kind: "finished"; job: number };
