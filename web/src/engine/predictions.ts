/** Convert the network's output to the objects of the published JSON: `Prediction`, `Window`, `Segment`, `Timeline`. */
import { facts } from "../facts";
import { strings } from "../language";
import type { Caution, Model, Prediction, Rating, Recording, Segment, Timeline, Window } from "../types";
import type { NetworkOutput } from "./messages";

const SHORTEST_VOICE_S = 0.1; // in a window; shorter sounds are clicks

export function toPrediction(output: NetworkOutput, model: Model, recording: Recording): Prediction {
  const measured = { ...output, voicedS: output.voicedEndS - output.voicedStartS };
  const recordingAndModel = { path: recording.name, duration_s: output.durationS, model: model.name, model_version: model.version };
  const empty = withoutEmotion(recordingAndModel, cautions(measured, model, recording));
  if (!output.speech) return empty;
  const step = model.frames_per_step * model.frame_period_s;
  return {
    ...withEmotion(empty, model.labels, output.probabilities, model.abstain_below),
    voiced_start_s: output.voicedStartS,
    voiced_end_s: output.voicedEndS,
    attention: output.attention.map((weight, i) => [round6(output.voicedStartS + i * step), weight]),
    dimensions: rate(output.dimensions, model),
  };
}

type RecordingAndModel = Pick<Prediction, "path" | "duration_s" | "model" | "model_version"> & Partial<Pick<Prediction, "settled_on">>;

/** The prediction for a recording without speech. */
export function withoutEmotion({ path, duration_s, model, model_version, settled_on = 0 }: RecordingAndModel, warnings: Caution[]): Prediction {
  return {
    schema_version: facts.schema_version,
    path,
    channel: null,
    emotion: null,
    probability: null,
    probabilities: {},
    margin: null,
    entropy: null,
    abstain: true,
    shares: {},
    dimensions: {},
    voiced_start_s: null,
    voiced_end_s: null,
    duration_s,
    attention: [],
    model,
    model_version,
    settled_on,
    warnings,
  };
}

/** A prediction with its emotion: the most probable one, or that of the largest share if there are any. */
export function withEmotion(
  empty: Prediction,
  labels: string[],
  probabilities: number[],
  abstainBelow: number,
  shares: number[] = [],
): Prediction {
  const ranked = shares.length > 0 ? shares : probabilities;
  const [first, second = 0] = [...ranked].sort((a, b) => b - a);
  const best = ranked.indexOf(first);
  return {
    ...empty,
    emotion: labels[best],
    probability: probabilities[best],
    probabilities: byLabel(labels, probabilities),
    margin: first - second,
    entropy: -probabilities.reduce((sum, p) => sum + p * Math.log(Math.max(p, 1e-300)), 0),
    abstain: probabilities[best] < abstainBelow,
    shares: shares.length > 0 ? byLabel(labels, shares) : {},
  };
}

/** What the cautions read. */
export interface Measured extends Pick<NetworkOutput, "speech" | "durationS" | "highDb" | "rmsDb"> {
  voicedS: number | null; // null for a long recording
}

/** The cautions of `emocatcher.recognition.cautions`, gravest first. */
export function cautions(output: Measured, model: Model, recording: Recording): Caution[] {
  const found: Caution[] = [];
  const add = (code: string, message: string): void => void found.push({ code, message });
  const { voicedS } = output;
  const words = strings.cautions;
  if (!output.speech) add("no-speech", words.noSpeech);
  if (recording.truncated) add("truncated", words.truncated(output.durationS));
  if (recording.divisor > 1) add("rescaled", words.rescaled(recording.divisor));
  if (recording.channelsCancel.length > 0) add("channels-cancel", words.channelsCancel(recording.channelsCancel));
  if (!output.speech) return found; // the others are about the voice
  if (voicedS !== null && voicedS < facts.shortest_voiced_s) add("too-short", words.tooShort(voicedS, facts.shortest_voiced_s));
  if (model.longest_voiced_s !== null && voicedS !== null && voicedS > model.longest_voiced_s)
    add("too-long", words.tooLong(voicedS, model.longest_voiced_s));
  if (recording.clipped) add("clipped", words.clipped(recording.peak));
  if (output.highDb < facts.band_db || recording.rate <= 2 * facts.band_hz)
    add("narrow-band", words.narrowBand(output.highDb, facts.band_hz));
  if (output.rmsDb < facts.quiet_db) add("very-quiet", words.veryQuiet(output.rmsDb));
  return found;
}

/** The fields of a model that windows need. */
export type WindowModel = Pick<Model, "labels" | "abstain_below">;

/** One window; `offsetS` is where its sound starts in the recording. */
export function toWindow(output: NetworkOutput, model: WindowModel, startS: number, endS: number, offsetS: number): Window {
  const clip = (time: number): number => Math.min(Math.max(offsetS + time, startS), endS);
  const [voicedStartS, voicedEndS] = [clip(output.voicedStartS), clip(output.voicedEndS)];
  const speech = output.speech && voicedEndS - voicedStartS >= SHORTEST_VOICE_S;
  const probability = Math.max(...output.probabilities);
  return {
    start_s: startS,
    end_s: endS,
    time_s: 0.5 * (startS + endS),
    speech,
    emotion: speech ? model.labels[output.probabilities.indexOf(probability)] : null,
    probability: speech ? probability : null,
    abstain: !speech || probability < model.abstain_below,
    probabilities: speech ? byLabel(model.labels, output.probabilities) : {},
    voiced_start_s: voicedStartS,
    voiced_end_s: voicedEndS,
  };
}

export function toTimeline(
  windows: Window[],
  model: Model,
  name: string,
  durationS: number,
  windowS: number,
  hopS: number,
  warnings: Caution[],
  settledOn = 0,
  dimensions: Record<string, Rating> = {},
): Timeline {
  return {
    schema_version: facts.schema_version,
    path: name,
    channel: null,
    model: model.name,
    model_version: model.version,
    labels: model.labels,
    window_s: windowS,
    hop_s: hopS,
    abstain_below: model.abstain_below,
    duration_s: durationS,
    settled_on: settledOn,
    warnings,
    dimensions,
    segments: toSegments(windows, durationS, model.abstain_below),
    windows,
  };
}

/** The edges between windows: each window covers the times nearest to its centre. Starts at 0, ends at `durationS`. */
export function bounds(windows: Window[], durationS: number): number[] {
  const between = windows.slice(1).map((window, i) => 0.5 * (window.time_s + windows[i].time_s));
  return [0, ...between, durationS];
}

/** Merge neighbouring windows of one emotion. */
export function toSegments(windows: Window[], durationS: number, abstainBelow: number): Segment[] {
  const edges = bounds(windows, durationS);
  const found: Segment[] = [];
  let run: Window[] = [];
  windows.forEach((window, i) => {
    run.push(window);
    if (windows[i + 1]?.emotion === window.emotion && i + 1 < windows.length) return;
    const all = run.map((one) => one.probability ?? 0);
    // The mean of equal numbers may round below them, and so below a threshold that they reach.
    const mean = Math.max(all.reduce((sum, one) => sum + one, 0) / all.length, Math.min(...all));
    found.push({
      start_s: edges[i + 1 - run.length],
      end_s: edges[i + 1],
      emotion: window.emotion,
      probability: window.emotion === null ? null : mean,
      abstain: window.emotion === null || mean < abstainBelow,
    });
    run = [];
  });
  return found;
}

/** How long there is speech, seconds: each window counts for the times nearest to its centre. */
export function speechS(windows: Window[], durationS: number): number {
  const edges = bounds(windows, durationS);
  return windows.reduce((sum, { speech }, i) => sum + (speech ? edges[i + 1] - edges[i] : 0), 0);
}

/** Whether there is speech, but the model abstains. */
export function isDoubtful({ emotion, abstain }: Segment | Window): boolean {
  return emotion !== null && abstain;
}

/** The window that covers a moment. */
export function windowAt(windows: Window[], durationS: number, timeS: number): Window | undefined {
  const edges = bounds(windows, durationS);
  return windows.find((_, i) => timeS < edges[i + 1]) ?? windows.at(-1);
}

/** The values of the model's dimensions by name, each limited to its range, which 32-bit numbers may round beyond. */
export function rate(values: number[], { dimensions }: Pick<Model, "dimensions">): Record<string, Rating> {
  return Object.fromEntries(
    dimensions.map(({ name, low, high }, i) => [name, { value: Math.min(Math.max(values[i], low), high), low, high }]),
  );
}

export function byLabel(labels: string[], values: number[]): Record<string, number> {
  return Object.fromEntries(labels.map((label, i) => [label, values[i]]));
}

function round6(value: number): number {
  return Math.round(value * 1e6) / 1e6;
}
