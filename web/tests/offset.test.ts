import { expect, test } from "vitest";
import { removeOffset } from "../src/audio/offset";

test("a waveform with an offset equals the one without", () => {
  const samples = Float32Array.from({ length: 4800 }, (_, i) => 0.1 * Math.sin(i) + 0.05 * Math.cos(3.7 * i));
  const found = removeOffset(samples.map((sample) => sample + 0.3));
  const expected = removeOffset(samples);
  expect(Math.max(...found.map((sample, i) => Math.abs(sample - expected[i])))).toBeLessThan(1e-7);
  expect(removeOffset(new Float32Array(0))).toHaveLength(0);
});
