/** Mix channels to one as `emocatcher.audio.channels` does: channels that cancel are not averaged. */
import { facts } from "../facts";
import { fourier } from "../features/log_mel";
import type { LeftOut } from "../types";
import { quantile } from "../features/statistics";

const SHORTEST_S = 1; // a shorter last section is mixed as the one before

interface Choice {
  used: number[];
  cancelling: number[]; // left out, because the average would cancel the voice
}

/** Mix section by section, as Python does. */
export function mixChannels(channels: Float32Array[], rate: number): { mono: Float32Array; leftOut: LeftOut[] } {
  if (channels.length === 1) return { mono: channels[0], leftOut: [] };
  const mono = new Float32Array(channels[0].length);
  const size = Math.ceil(facts.block_s * rate);
  let choice: Choice | undefined;
  const leftOut: LeftOut[] = [];
  for (let start = 0; start < mono.length; start += size) {
    const section = channels.map((channel) => channel.subarray(start, start + size));
    if (!choice || section[0].length >= SHORTEST_S * rate) choice = chooseChannels(section, rate);
    const [startS, endS] = [start / rate, (start + section[0].length) / rate];
    for (const channel of choice.cancelling) {
      const before = leftOut.find((one) => one.channel === channel && one.endS === startS);
      if (before) before.endS = endS;
      else leftOut.push({ channel, startS, endS });
    }
    const used = choice.used.map((i) => section[i]);
    for (let i = 0; i < section[0].length; i++) {
      let sum = 0;
      for (const channel of used) sum += channel[i];
      mono[start + i] = sum / used.length;
    }
  }
  return { mono, leftOut: leftOut.sort((a, b) => a.startS - b.startS || a.endS - b.endS || a.channel - b.channel) };
}

/** The channels whose average keeps the voice. */
export function chooseChannels(channels: Float32Array[], rate: number): Choice {
  const limits = facts.channels;
  const all = { used: channels.map((_, i) => i), cancelling: [] };
  const length = channels[0].length;
  if (channels.length === 1 || length < 2 || areEqual(channels)) return all;
  const n = Math.min(2 ** Math.floor(Math.log2(Math.floor(limits.frame_s * rate))), length);
  const nFrames = Math.floor(length / n);
  const means = channels.map((channel) => channel.reduce((sum, value) => sum + value, 0) / length);
  const power = channels.map((channel, c) =>
    Array.from({ length: nFrames }, (_, frame) => {
      let sum = 0;
      for (let i = frame * n; i < (frame + 1) * n; i++) sum += (channel[i] - means[c]) ** 2;
      return sum;
    }),
  );
  const totals = power.map((frames) => frames.reduce((sum, one) => sum + one, 0));
  const used = withVoice(power, totals);
  const loudest = used.reduce((best, c) => (totals[c] > totals[best] ? c : best), used[0]);
  const least = limits.active * Math.max(...power[loudest]);
  let active = power[loudest].flatMap((one, frame) => (one >= least ? [frame] : []));
  let nParts = 1;
  if (active.length >= limits.n_frames) {
    const spacing = (active.length - 1) / (limits.n_frames - 1);
    active = Array.from({ length: limits.n_frames }, (_, i) => active[Math.floor(i * spacing + 1e-9)]);
    nParts = limits.n_parts;
  }
  const frameOf = (c: number, frame: number): number[] =>
    Array.from({ length: n }, (_, i) => channels[c][frame * n + i] - means[c]);
  const related = new Set<number>();
  let cancel = false;
  for (const other of used) {
    if (other === loudest) continue;
    const size = Math.ceil(active.length / nParts);
    for (let start = 0; start < active.length; start += size) {
      const part = active.slice(start, start + size);
      const powerOf = (c: number): number => part.reduce((sum, frame) => sum + power[c][frame], 0);
      if (powerOf(other) < limits.quiet_copy * powerOf(loudest)) continue;
      const pairs = part.map((frame) => [frameOf(loudest, frame), frameOf(other, frame)]);
      const found = compare(pairs, n, rate);
      if (found.sameVoice) related.add(other);
      cancel ||= found.cancel;
    }
  }
  if (!cancel) return { used, cancelling: [] };
  const cancelling = used.filter((c) => related.has(c) && !hasOwnSound(power[c], power[loudest]));
  return { used: used.filter((c) => !cancelling.includes(c)), cancelling };
}

function areEqual(channels: Float32Array[]): boolean {
  return channels.every((channel) => channel.every((value, i) => value === channels[0][i]));
}

/** The channels that are neither silent nor steady noise. */
function withVoice(power: number[][], totals: number[]): number[] {
  const limits = facts.channels;
  const audible = totals.flatMap((total, c) => (total >= limits.silent * Math.max(...totals) ? [c] : []));
  if (power[0].length < limits.least_frames) return audible;
  const ranges = audible.map((c) => {
    const level = power[c].map((one) => 10 * Math.log10(Math.max(one, 1e-30))).sort((a, b) => a - b);
    return level[level.length - limits.own_frames] - quantile(level, 0.1);
  });
  if (Math.max(...ranges) < limits.lively_db) return audible;
  return audible.filter((_, i) => ranges[i] >= limits.steady_db);
}

/** Whether a channel has sound where the loudest has none, given the power of the frames of both. */
function hasOwnSound(other: number[], loudest: number[]): boolean {
  const limits = facts.channels;
  const quiet = quantile([...other].sort((a, b) => a - b), 0.1);
  const least = Math.max(limits.own * quiet, limits.active * Math.max(...loudest));
  const own = other.filter((one, frame) => one >= least && one >= limits.own * loudest[frame]);
  return own.length >= limits.own_frames;
}

/** Whether pairs of frames have the same voice; and whether in opposite phase, or one late. */
function compare(pairs: number[][][], n: number, rate: number): { sameVoice: boolean; cancel: boolean } {
  const limits = facts.channels;
  const size = 2 * n;
  const transform = fourier(size);
  const crossRe = new Float64Array(size);
  const crossIm = new Float64Array(size);
  const total = [0, 0];
  for (const [one, other] of pairs) {
    // Two frames as one complex signal: their spectra are its even and odd part.
    const re = new Float64Array(size);
    const im = new Float64Array(size);
    re.set(one);
    im.set(other);
    transform(re, im);
    for (let bin = 1; bin <= n; bin++) {
      const hz = (bin * rate) / size;
      if (hz < limits.band_hz[0] || hz > limits.band_hz[1]) continue;
      const mirrored = size - bin;
      const [aRe, aIm] = [0.5 * (re[bin] + re[mirrored]), 0.5 * (im[bin] - im[mirrored])];
      const [bRe, bIm] = [0.5 * (im[bin] + im[mirrored]), 0.5 * (re[mirrored] - re[bin])];
      total[0] += hz * (aRe * aRe + aIm * aIm);
      total[1] += hz * (bRe * bRe + bIm * bIm);
      crossRe[bin] += hz * (aRe * bRe + aIm * bIm);
      crossIm[bin] -= hz * (aRe * bIm - aIm * bRe); // conjugated, for the transform back
    }
  }
  transform(crossRe, crossIm);
  const scale = Math.max(Math.sqrt(total[0] * total[1]), 1e-30);
  const latest = Math.min(Math.floor(limits.latest_s * rate), n - 1);
  let peak = 0;
  for (let lag = -latest; lag <= latest; lag++) {
    const value = crossRe[(lag + size) % size] / scale;
    if (Math.abs(value) > Math.abs(peak)) peak = value;
  }
  const sameVoice = Math.abs(peak) >= limits.same_voice;
  return { sameVoice, cancel: sameVoice && (peak < 0 || peak > crossRe[0] / scale + limits.clearly) };
}
