/** Decode any file that the browser can read to a recording: mono, at its own rate, with peak and clipping. */
import { facts } from "../facts";
import { strings } from "../language";
import { PageError, type Recording } from "../types";
import { mixChannels } from "./channels";
import { nativeRate } from "./native_rate";
import { removeOpusDelay } from "./opus_delay";
import { type Pcm, readWav } from "./wav";

export async function decode(file: Blob, name: string): Promise<Recording> {
  if (file.size === 0) throw new PageError(strings.errors.empty(name), strings.errors.emptyNext);
  const buffer = await file.arrayBuffer();
  const pcm = readWav(buffer) ?? (await decodeInBrowser(buffer, name));
  return toRecording(pcm, file, name);
}

/** Check the samples, bring them to full scale and mix the channels, as the Python package does. */
export function toRecording(pcm: Pcm, file: Blob, name: string): Recording {
  const { channels, rate } = pcm;
  const nSamples = channels[0]?.length ?? 0;
  if (nSamples === 0) throw new PageError(strings.errors.noSamples(name), strings.errors.emptyNext);
  if (rate < facts.lowest_rate_hz)
    throw new PageError(strings.errors.lowRate(name, rate), strings.errors.lowRateNext(facts.lowest_rate_hz));
  const durationS = nSamples / rate;
  if (durationS > facts.longest_s)
    throw new PageError(strings.errors.tooLong(name, durationS), strings.errors.tooLongNext(facts.longest_s));
  const divisor = atFullScale(channels, rate, name);
  const { peak, flat } = peaks(channels, rate);
  if (!Number.isFinite(peak)) throw new PageError(strings.errors.notFinite(name), strings.errors.notFiniteNext);
  const { mono, leftOut } = mixChannels(channels, rate);
  const clipped = flat || isTooDense(mono, rate);
  const { truncated } = pcm;
  return { name, file, mono, rate, peak, clipped, truncated, divisor, channelsCancel: leftOut, durationS };
}

/** Divide floats at the scale of integers, in place, as `emocatcher.audio.arrays` does; the result is the divisor. */
function atFullScale(channels: Float32Array[], rate: number, name: string): number {
  const n = Math.ceil(facts.block_s * rate);
  const largest = (from: number, to: number): number =>
    channels.reduce((most, channel) => channel.subarray(from, to).reduce((a, b) => Math.max(a, Math.abs(b)), most), 0);
  const divisorOf = (peak: number): number =>
    peak > facts.largest_float ? (facts.divisors.find((one) => peak <= facts.slack * one) ?? Infinity) : 1;
  const divisor = divisorOf(largest(0, n));
  if (divisor === Infinity || divisorOf(largest(n, channels[0].length)) > divisor) {
    const all = largest(0, channels[0].length);
    if (!Number.isFinite(all)) return 1; // refused with its own message
    throw new PageError(strings.errors.scale(name, all), strings.errors.scaleNext);
  }
  if (divisor > 1) for (const channel of channels) for (let i = 0; i < channel.length; i++) channel[i] /= divisor;
  return divisor;
}

async function decodeInBrowser(buffer: ArrayBuffer, name: string): Promise<Pcm> {
  removeOpusDelay(buffer);
  const context = new OfflineAudioContext(1, 1, nativeRate(buffer));
  try {
    const decoded = await context.decodeAudioData(buffer);
    const channels = Array.from({ length: decoded.numberOfChannels }, (_, i) => decoded.getChannelData(i));
    return { channels, rate: decoded.sampleRate, truncated: false };
  } catch {
    throw new PageError(strings.errors.undecodable(name), strings.errors.undecodableNext);
  }
}

/** The largest magnitude, and whether consecutive samples stay at it; block by block, as in `emocatcher.audio`. */
function peaks(channels: Float32Array[], rate: number): { peak: number; flat: boolean } {
  const nBlock = Math.ceil(facts.block_s * rate);
  const nSamples = channels[0].length;
  let peak = 0;
  let flat = false;
  for (let start = 0; start < nSamples; start += nBlock) {
    const end = Math.min(start + nBlock, nSamples);
    let highest = 0;
    for (const channel of channels)
      for (let i = start; i < end; i++) {
        const size = Math.abs(channel[i]);
        if (!(size <= highest)) highest = size; // true for NaN too
        if (!Number.isFinite(size)) return { peak: NaN, flat: false };
      }
    peak = Math.max(peak, highest);
    if (highest < facts.clipped.peak || flat) continue;
    const top = highest - facts.clipped.spread;
    let pairs = 0;
    let isSteep = false; // the wave rises to its top in a step, and is not a slow one whose top only looks flat
    for (const channel of channels)
      for (let i = start + 1; i < end; i++)
        if (Math.abs(channel[i]) >= top && Math.abs(channel[i - 1]) >= top) {
          pairs++;
          isSteep ||= i > start + 1 && Math.abs(channel[i - 2]) < highest - facts.clipped.step;
        }
    flat = isSteep && pairs >= facts.clipped.pairs;
  }
  return { peak, flat };
}

/** Whether more of the loud samples are among the loudest than in any voice, which coding and resampling do not hide. */
export function isTooDense(mono: Float32Array, rate: number): boolean {
  const size = Math.ceil(facts.block_s * rate);
  for (let start = 0; start < mono.length; start += size)
    if (isSectionTooDense(mono.subarray(start, start + size), rate)) return true;
  return false;
}

function isSectionTooDense(mono: Float32Array, rate: number): boolean {
  const limits = facts.clipped;
  const n = Math.round(limits.frame_s * rate);
  const nFrames = Math.floor(mono.length / n);
  if (nFrames < 1 / limits.frame_s / 2) return false;
  const sizes = mono.map(Math.abs);
  const level = sizes.slice().sort()[mono.length - Math.max(Math.floor(mono.length / 1000), 1)];
  const above = (share: number): number => sizes.reduce((count, one) => count + Number(one >= share * level), 0);
  if (level === 0 || above(limits.levels[1]) < limits.share * above(limits.levels[0])) return false;
  const powerOf = (frame: number): number =>
    mono.subarray(frame * n, (frame + 1) * n).reduce((sum, one) => sum + one * one, 0);
  const powers = Array.from({ length: nFrames }, (_, frame) => powerOf(frame));
  const loudest = powers.indexOf(Math.max(...powers));
  return !isTone(mono.subarray(loudest * n, (loudest + 1) * n), Math.max(Math.round(rate / limits.rate), 1));
}

/** Whether a frame is one sine: of three of its samples at even distances, the outer ones fix the middle one. */
function isTone(frame: Float32Array, step: number): boolean {
  const middle = frame.subarray(step, frame.length - step);
  const outer = middle.map((_, i) => frame[i] + frame[i + 2 * step]);
  const product = (one: Float32Array, other: Float32Array): number =>
    one.reduce((sum, value, i) => sum + value * other[i], 0);
  const factor = product(outer, middle) / Math.max(product(middle, middle), 1e-20);
  const rest = outer.map((value, i) => value - factor * middle[i]);
  return product(rest, rest) <= facts.clipped.rest * product(outer, outer);
}
