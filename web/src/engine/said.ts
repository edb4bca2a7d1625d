/** What the network said → the objects that the command line gives: `Prediction`, `Window`, `Segment`, `Timeline`. */
import { facts } from "../facts";
import { strings } from "../strings.en";
import type { Caution, Model, Prediction, Recording, Segment, Timeline, Window } from "../types";
import type { Heard } from "./messages";

const SHORTEST_VOICE_S = 0.1; // of a window; less is a click

export function toPrediction(heard: Heard, model: Model, recording: Recording): Prediction {
  const sorted = [...heard.probabilities].sort((a, b) => b - a);
  const [first, second = 0] = sorted;
  const step = model.frames_per_step * model.frame_period_s;
  return {
    schema_version: facts.schema_version,
    path: recording.name,
    emotion: model.labels[heard.probabilities.indexOf(first)],
    probability: first,
    probabilities: byLabel(model.labels, heard.probabilities),
    margin: first - second,
    entropy: -heard.probabilities.reduce((sum, p) => sum + p * Math.log(Math.max(p, 1e-300)), 0),
    abstain: first < model.abstain_below || heard.silent,
    voiced_start_s: heard.voicedStartS,
    voiced_end_s: heard.voicedEndS,
    duration_s: heard.durationS,
    attention: heard.attention.map((weight, i) => [round6(heard.voicedStartS + i * step), weight]),
    model: model.name,
    model_version: model.version,
    warnings: cautions(heard, model, recording),
  };
}

/** Whether there was nobody to judge: then the answer is not put first. */
export function saysNobodySpoke(prediction: Prediction): boolean {
  return prediction.warnings.some((one) => one.code === "no-speech");
}

/** Those of `emocatcher.recognition.cautions` that need no more than the samples, gravest first. */
function cautions(heard: Heard, model: Model, recording: Recording): Caution[] {
  const found: Caution[] = [];
  const add = (code: string, message: string): void => void found.push({ code, message });
  const voicedS = heard.voicedEndS - heard.voicedStartS;
  const words = strings.cautions;
  if (heard.silent) add("no-speech", words.noSpeech);
  if (recording.truncated) add("truncated", words.truncated(heard.durationS));
  if (voicedS < facts.shortest_voiced_s) add("too-short", words.tooShort(voicedS, facts.shortest_voiced_s));
  if (model.longest_voiced_s !== null && voicedS > model.longest_voiced_s)
    add("too-long", words.tooLong(voicedS, model.longest_voiced_s));
  if (recording.clipped) add("clipped", words.clipped(recording.peak));
  if (recording.rate <= 2 * facts.band_hz) add("narrow-band", words.narrowBand(recording.rate));
  if (heard.rmsDb < facts.quiet_db) add("very-quiet", words.veryQuiet(heard.rmsDb));
  return found;
}

/** What of a model is asked for here. */
export type Said = Pick<Model, "labels" | "abstain_below">;

/** One window; `offsetS` is where its sound starts in the recording. */
export function toWindow(heard: Heard, model: Said, startS: number, endS: number, offsetS: number): Window {
  const clip = (time: number): number => Math.min(Math.max(offsetS + time, startS), endS);
  const [voicedStartS, voicedEndS] = [clip(heard.voicedStartS), clip(heard.voicedEndS)];
  const speech = !heard.quiet && voicedEndS - voicedStartS >= SHORTEST_VOICE_S;
  const probability = Math.max(...heard.probabilities);
  return {
    start_s: startS,
    end_s: endS,
    time_s: 0.5 * (startS + endS),
    speech,
    emotion: speech ? model.labels[heard.probabilities.indexOf(probability)] : null,
    probability: speech ? probability : null,
    abstain: !speech || probability < model.abstain_below,
    probabilities: speech ? byLabel(model.labels, heard.probabilities) : {},
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
): Timeline {
  return {
    schema_version: facts.schema_version,
    path: name,
    model: model.name,
    model_version: model.version,
    labels: model.labels,
    window_s: windowS,
    hop_s: hopS,
    abstain_below: model.abstain_below,
    duration_s: durationS,
    segments: toSegments(windows, durationS, model.abstain_below),
    windows,
  };
}

/** Where the stretch that each window speaks of begins: nearer to its centre than to its neighbours'. */
export function bounds(windows: Window[], durationS: number): number[] {
  const between = windows.slice(1).map((window, i) => 0.5 * (window.time_s + windows[i].time_s));
  return [0, ...between, durationS];
}

/** Neighbouring windows of one emotion, merged. */
export function toSegments(windows: Window[], durationS: number, abstainBelow: number): Segment[] {
  const edges = bounds(windows, durationS);
  const found: Segment[] = [];
  let run: Window[] = [];
  windows.forEach((window, i) => {
    run.push(window);
    if (windows[i + 1]?.emotion === window.emotion && i + 1 < windows.length) return;
    const all = run.map((one) => one.probability ?? 0);
    // A mean of equal numbers may round to less than they are, and so below a threshold that they reach.
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

/** Whether somebody speaks, and the model gives no answer. */
export function isDoubtful({ emotion, abstain }: Segment | Window): boolean {
  return emotion !== null && abstain;
}

/** The window that speaks of a moment. */
export function windowAt(windows: Window[], durationS: number, timeS: number): Window | undefined {
  const edges = bounds(windows, durationS);
  return windows.find((_, i) => timeS < edges[i + 1]) ?? windows.at(-1);
}

export function byLabel(labels: string[], values: number[]): Record<string, number> {
  return Object.fromEntries(labels.map((label, i) => [label, values[i]]));
}

function round6(value: number): number {
  return Math.round(value * 1e6) / 1e6;
}
