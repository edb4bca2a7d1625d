import { expect, test } from "vitest";
import { chooseChannels, mixChannels } from "../src/audio/channels";
import { clicks } from "../src/features/clicks";
import { facts } from "../src/facts";

const RATE = 22050;
let seed = 1;
const random = (): number => (seed = (seed * 16807) % 2147483647) / 2147483647 - 0.5;
const noise = (level: number, n = 2 * RATE): Float32Array => Float32Array.from({ length: n }, () => 3.5 * level * random());
// Syllables of a voice whose pitch glides.
const voice = Float32Array.from({ length: 2 * RATE }, (_, i) => {
  const t = i / RATE;
  let sum = 0;
  for (let k = 1; k < 20; k++) sum += Math.sin(2 * Math.PI * k * (150 * t + 10 * Math.sin(3 * t))) / k;
  return 0.1 * sum * Math.max(Math.sin(2 * Math.PI * 3 * t), 0) + 1e-3 * random();
});
const late = (s: number): Float32Array => Float32Array.from(voice, (_, i) => 0.9 * (voice[i - Math.round(s * RATE)] ?? 0));

test.each([
  ["opposite phase", voice.map((value) => -value)],
  ["partly cancelling", voice.map((value) => -0.8 * value)],
  ["1 ms late", late(0.001)],
  ["0.3 ms late", late(0.0003)],
])("of channels that cancel only the loudest is used: %s", (_, other) => {
  const quieter = other.map((value) => 0.97 * value);
  expect(mixChannels([quieter, voice], RATE)).toEqual({ mono: voice, leftOut: [{ channel: 0, startS: 0, endS: 2 }] });
});

test("channels without a voice are left out, others averaged", () => {
  expect(chooseChannels([new Float32Array(voice.length), voice], RATE)).toEqual({ used: [1], cancelling: [] });
  expect(chooseChannels([noise(0.05), voice], RATE)).toEqual({ used: [1], cancelling: [] });
  const half = voice.map((value) => 0.5 * value);
  expect(chooseChannels([voice, half], RATE)).toEqual({ used: [0, 1], cancelling: [] });
  expect(mixChannels([voice, voice], RATE)).toEqual({ mono: voice, leftOut: [] });
});

test.each([0.001, 0.1, 0.5])("an echo of the other side of a call does not drop a side: %s", (echo) => {
  const turns = (first: boolean): Float32Array =>
    Float32Array.from({ length: 6 * voice.length }, (_, i) => {
      const speaks = Math.floor(i / voice.length) % 4 === (first ? 0 : 2);
      return (speaks ? voice[i % voice.length] : 0) + 1e-5 * random();
    });
  const [one, two] = [turns(true), turns(false)];
  const delay = Math.round(0.015 * RATE);
  const heard = (own: Float32Array, other: Float32Array): Float32Array =>
    own.map((value, i) => value + echo * 0.5 * (other[i - delay] ?? 0));
  expect(chooseChannels([heard(one, two), heard(two, one)], RATE)).toEqual({ used: [0, 1], cancelling: [] });
});

test("one short word keeps its channel", () => {
  const long = Float32Array.from({ length: 30 * RATE }, (_, i) => (i > 20 * RATE ? 0 : voice[i % voice.length]));
  const other = noise(1e-4, long.length);
  other.set(voice.subarray(0, RATE), 22 * RATE);
  expect(chooseChannels([long, other], RATE)).toEqual({ used: [0, 1], cancelling: [] });
});

test("only the frames around a click contain it", () => {
  const sound = noise(1e-4, RATE);
  sound.fill(0.1, 11_000, 11_100);
  const found = clicks(sound, 17, facts.gate.fitted_front_end);
  expect(found.flatMap((one, frame) => (one ? [frame] : []))).toEqual([8]);
});
