import { expect, test } from "vitest";
import { resample } from "../src/audio/resample";

const tone = (hz: number, rate: number, n: number): Float32Array =>
  Float32Array.from({ length: n }, (_, i) => Math.sin((2 * Math.PI * hz * i) / rate));

const db = (samples: Float32Array, from: number, to: number): number => {
  let sum = 0;
  for (let i = from; i < to; i++) sum += samples[i] ** 2;
  return 10 * Math.log10((2 * sum) / (to - from));
};

test.each([
  [48000, 22050],
  [44100, 22050],
  [16000, 22050],
  [8000, 22050],
  [47999, 22050],
  [48000, 16000],
])("a tone in the passband keeps its time and level: %d to %d Hz", (source, target) => {
  const hz = 0.45 * Math.min(source, target);
  const out = resample(tone(hz * 0.9, source, source), source, target);
  const wanted = tone(hz * 0.9, target, target);
  expect(out.length).toBe(target);
  const off = out.map((value, i) => value - wanted[i]);
  expect(db(off, 2000, target - 2000)).toBeLessThan(-100);
});

test("tones above the new Nyquist frequency are 120 dB down", () => {
  for (const hz of [11100, 12500, 16000, 20000]) {
    const out = resample(tone(hz, 48000, 48000), 48000, 22050);
    expect(db(out, 2000, 20000)).toBeLessThan(-120);
  }
});

test("the length is rounded up, as in the package", () => {
  expect(resample(new Float32Array(3), 48000, 22050).length).toBe(2);
  expect(resample(new Float32Array(1), 8000, 22050).length).toBe(3);
});

test("the same rate changes nothing", () => {
  const samples = tone(440, 22050, 100);
  expect(resample(samples, 22050, 22050)).toBe(samples);
});
