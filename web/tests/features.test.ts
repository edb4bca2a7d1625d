import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { centresHz, logMel } from "../src/features/log_mel";
import { cutGate, gateSpectrogram, speechOdds } from "../src/features/speech_gate";
import { facts } from "../src/facts";
import type { FrontEnd } from "../src/types";

const RATE = 22050;
const config = JSON.parse(readFileSync("../src/emocatcher/models/shipped/emocatcher-2/config.json", "utf8"));
const frontEnd = config.settings.front_end as FrontEnd;

/** A hum of 20 harmonics that glides and beats twice a second. */
function hum(seconds: number, rate = RATE): Float32Array {
  let phase = 0;
  return Float32Array.from({ length: Math.floor(seconds * rate) }, (_, i) => {
    const time = i / rate;
    phase += (2 * Math.PI * (140 + 30 * Math.sin(2 * Math.PI * 0.7 * time))) / rate;
    let sum = 0;
    for (let k = 1; k < 20; k++) sum += Math.sin(k * phase) / k;
    return 0.1 * sum * Math.sqrt(Math.max(Math.sin(2 * Math.PI * 2.1 * time), 0)) * (0.2 + 0.8 * Number(time < 0.8 * seconds));
  });
}

// The numbers are those of `emocatcher.features` for the same sound; after a new fit of the gate they must be replaced.
test("the log-mel spectrogram and the speech gate are Python's", () => {
  const found = logMel(hum(2.5), frontEnd);
  expect([found.nFrames, found.nMels]).toEqual([216, 96]);
  const cells = [found.cells[0], found.cells[96], found.cells[100 * 96 + 5], found.cells[200 * 96 + 40]];
  [-16.072939, -16.249172, -2.0192459, -71.836525].forEach((db, i) => expect(cells[i]).toBeCloseTo(db, 2));
  expect(speechOdds(gateSpectrogram(hum(2.5), frontEnd))).toBeCloseTo(-0.10791, 2);
  expect(speechOdds(gateSpectrogram(hum(2.5), facts.gate.fitted_front_end))).toBeCloseTo(-0.12616, 2);
  const at16 = gateSpectrogram(hum(2.5, 16000), { ...frontEnd, sample_rate: 16000 });
  expect([at16.nFrames, at16.perSecond]).toEqual([41, 16000 / 990]);
  expect(speechOdds(at16)).toBeCloseTo(-0.01655, 2);
});

test("silence has no speech, and a front end of any size is computed", () => {
  expect(speechOdds(gateSpectrogram(new Float32Array(RATE), frontEnd))).toBe(-Infinity);
  expect(speechOdds(gateSpectrogram(new Float32Array(1), frontEnd))).toBe(-Infinity);
  const halfSilent = gateSpectrogram(Float32Array.from({ length: 4 * RATE }, (_, i) => (i < 2 * RATE ? Math.sin(i) : 0)), frontEnd);
  expect(speechOdds(cutGate(halfSilent, 2.3, 1.5))).toBe(-Infinity);
  const odd = { ...frontEnd, n_fft: 600, win_length: 600 };
  const found = logMel(hum(0.2), odd);
  expect(found.cells[5 * 96 + 20]).toBeCloseTo(-14.514574, 2);
  expect(found.cells[2 * 96 + 60]).toBeCloseTo(-26.942368, 2);
  expect(centresHz(frontEnd)).toHaveLength(96);
});
