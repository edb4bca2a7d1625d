/** What the tests of predictions share: a model, a recording, and the network's outputs for it. */
import type { NetworkOutput } from "../src/engine/messages";
import type { Model, Recording } from "../src/types";

export const model = {
  name: "m",
  version: "1",
  labels: ["happy", "sad"],
  dimensions: [] as Model["dimensions"],
  abstain_below: 0.75,
  frames_per_step: 2,
  frame_period_s: 0.05,
  longest_voiced_s: 3,
} as Model;

const read = { truncated: false, clipped: false, peak: 0.5, divisor: 1, channelsCancel: [] };
export const recording: Recording = { name: "a.wav", file: new Blob(), mono: new Float32Array(), rate: 22050, durationS: 12, ...read };

/** For three seconds of sound, with a voice from 0.5 s to 2 s. */
export function output(happy: number, change: Partial<NetworkOutput> = {}): NetworkOutput {
  return {
    probabilities: [happy, 1 - happy],
    attention: [1],
    dimensions: [],
    voicedStartS: 0.5,
    voicedEndS: 2,
    durationS: 3,
    rmsDb: -20,
    speech: true,
    loudestDb: -5,
    highDb: -30,
    ...change,
  };
}
