/** The published JSON of predictions and timelines, as written by the command line, the server and this page. */

export interface Caution {
  code: string;
  message: string;
}

/** A dimension of emotion, such as arousal, as listeners rated it. */
export interface Rating {
  value: number; // within the range
  low: number;
  high: number;
}

export interface Prediction {
  schema_version: number;
  path: string;
  channel: number | null; // from 1, if it was recognised alone; the page recognises all together
  emotion: string | null; // null without speech, as are the other fields that may be null
  probability: number | null;
  probabilities: Record<string, number>; // empty without speech
  margin: number | null;
  entropy: number | null;
  abstain: boolean;
  shares: Record<string, number>; // of the speech, by label; empty unless the recording is long
  dimensions: Record<string, Rating>; // by name, of a model that estimates some; empty without speech
  voiced_start_s: number | null;
  voiced_end_s: number | null;
  duration_s: number;
  attention: [number, number][];
  model: string;
  model_version: string;
  settled_on: number; // recordings; 0 without settling
  warnings: Caution[];
}

export interface Window {
  start_s: number;
  end_s: number;
  time_s: number;
  speech: boolean;
  emotion: string | null;
  probability: number | null;
  abstain: boolean;
  probabilities: Record<string, number>;
  voiced_start_s: number;
  voiced_end_s: number;
}

export interface Segment {
  start_s: number;
  end_s: number;
  emotion: string | null;
  probability: number | null;
  abstain: boolean;
}

export interface Timeline {
  schema_version: number;
  path: string;
  channel: number | null;
  model: string;
  model_version: string;
  labels: string[];
  window_s: number;
  hop_s: number;
  abstain_below: number;
  duration_s: number;
  settled_on: number; // recordings; 0 without settling
  warnings: Caution[];
  dimensions: Record<string, Rating>; // means over the windows with speech, of a model that estimates some
  segments: Segment[];
  windows: Window[];
}

/** How a log-mel spectrogram is computed: `emocatcher.foundation.settings.FrontEnd`. */
export interface FrontEnd {
  sample_rate: number; // Hz
  n_fft: number; // samples
  win_length: number;
  hop_length: number;
  n_mels: number;
  f_min: number; // Hz
  f_max: number;
  amin: number;
  floor_db: number;
}

/** What a model settled on: `emocatcher.recognition.settling.Settled`, of which the page reads these. */
export interface Settled {
  n_recordings: number;
  shift: number[]; // for each label, subtracted from the logarithm of its probability
}

/** `model/model.json`, and the answer of `GET v1/model`. */
export interface Model {
  name: string;
  version: string;
  weights_sha256: string;
  schema_version: number;
  labels: string[];
  dimensions: { name: string; low: number; high: number }[]; // in the order of the graph's output
  sample_rate_hz: number;
  frame_period_s: number;
  frames_per_step: number;
  temperature: number;
  abstain_below: number;
  n_parameters: number;
  longest_voiced_s: number | null;
  front_end: FrontEnd;
  training: Record<string, unknown> & { scores?: Record<string, number> };
  card: string;
  waveform_onnx: string | null;
  listen_corpus: boolean;
  token_required: boolean;
  settled?: Settled | null; // what the answers have settled on unless another is chosen
}

/** A channel, counted from 0, that is not used in a part of a recording. */
export interface LeftOut {
  channel: number;
  startS: number;
  endS: number;
}

/** A decoded recording, at its own sample rate. */
export interface Recording {
  name: string;
  file: Blob;
  mono: Float32Array;
  rate: number;
  peak: number;
  clipped: boolean;
  truncated: boolean;
  divisor: number; // what the samples were divided by, because of their values
  channelsCancel: LeftOut[]; // because the average would cancel the voice
  durationS: number;
}

/** An error with two texts for the user: what was wrong, and what to do next. */
export class PageError extends Error {
  /** @param language of `what`, if it is not the page's */
  constructor(
    readonly what: string,
    readonly next: string,
    readonly language: string | null = null,
  ) {
    super(`${what} ${next}`);
  }
}
