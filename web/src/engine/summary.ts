/** Long recordings: summarise the windows as one prediction, as `emocatcher.recognition.timeline.summary` does. */
import { facts } from "../facts";
import type { Caution, Model, Prediction, Rating, Recording, Timeline } from "../types";
import type { NetworkOutput } from "./messages";
import { withEmotion, bounds, byLabel, cautions, rate, withoutEmotion } from "./predictions";

/** Whether a recording is judged window by window, because it has several sentences. */
export function isLong(durationS: number): boolean {
  return durationS > facts.long_s;
}

export function summarise(timeline: Timeline): Prediction {
  const { labels, windows, duration_s: durationS } = timeline;
  const empty = withoutEmotion(timeline, timeline.warnings);
  const spoken = windows.filter((window) => window.speech);
  if (spoken.length === 0) return empty;
  const edges = bounds(windows, durationS);
  const seconds = byLabel(labels, labels.map(() => 0));
  windows.forEach(({ emotion }, i) => {
    if (emotion !== null) seconds[emotion] += edges[i + 1] - edges[i];
  });
  const total = Object.values(seconds).reduce((sum, one) => sum + one, 0);
  const mean = labels.map((label) => spoken.reduce((sum, window) => sum + window.probabilities[label], 0) / spoken.length);
  return {
    ...withEmotion(empty, labels, mean, timeline.abstain_below, labels.map((label) => seconds[label] / total)),
    dimensions: timeline.dimensions,
    voiced_start_s: Math.min(...spoken.map((window) => window.voiced_start_s)),
    voiced_end_s: Math.max(...spoken.map((window) => window.voiced_end_s)),
  };
}

/** @param spoken the outputs for the windows with speech */
export function meanRatings(spoken: NetworkOutput[], model: Pick<Model, "dimensions">): Record<string, Rating> {
  if (spoken.length === 0) return {};
  return rate(model.dimensions.map((_, i) => spoken.reduce((sum, one) => sum + one.dimensions[i], 0) / spoken.length), model);
}

/** @param spoken the outputs for the windows with speech */
export function cautionsOverTime(spoken: NetworkOutput[], model: Model, recording: Recording): Caution[] {
  const most = (pick: (output: NetworkOutput) => number): number => spoken.reduce((high, one) => Math.max(high, pick(one)), -Infinity);
  const seconds = (output: NetworkOutput): number => output.voicedEndS - output.voicedStartS;
  const energy = spoken.reduce((sum, one) => sum + seconds(one) * 10 ** (one.rmsDb / 10), 0);
  const voicedS = spoken.reduce((sum, one) => sum + seconds(one), 0);
  const measured = {
    speech: spoken.length > 0,
    durationS: recording.durationS,
    voicedS: null,
    highDb: most((one) => one.loudestDb + one.highDb) - most((one) => one.loudestDb),
    rmsDb: 10 * Math.log10(Math.max(energy / voicedS, 1e-20)),
  };
  return cautions(measured, model, recording);
}
