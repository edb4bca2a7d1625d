/** Whether a sound contains speech: the gate of `emocatcher.features.speech_gate`, without Silero VAD for doubtful sounds. */
import { resample } from "../audio/resample";
import { facts } from "../facts";
import type { FrontEnd } from "../types";
import { clicks, withoutClicks } from "./clicks";
import { cutFrames, logMel, type Spectrogram } from "./log_mel";
import { deviation, largest, mean } from "./statistics";

const gate = facts.gate;
const OWN: FrontEnd = { ...gate.front_end, floor_db: Infinity };
const FITTED: FrontEnd = { ...gate.fitted_front_end, floor_db: Infinity };
const BAND = gate.fitted_front_end.n_mels / gate.n_bands;

export interface GateSpectrogram extends Spectrogram {
  perSecond: number; // frames
}

/**
 * The spectrogram that the gate reads, without a floor.
 * @param waveform mono, at the rate of the model's front end
 */
export function gateSpectrogram(waveform: Float32Array, model: FrontEnd): GateSpectrogram {
  const frontEnd = isFitted(model) ? FITTED : own(model.sample_rate);
  const sound = resample(waveform, model.sample_rate, frontEnd.sample_rate);
  const spectrogram = logMel(sound, frontEnd);
  const perSecond = frontEnd.sample_rate / frontEnd.hop_length;
  return { ...spectrogram, clicked: clicks(sound, spectrogram.nFrames, frontEnd), perSecond };
}

const known = new Map<number, FrontEnd>();

/** The gate's own front end for a sample rate, as `speech_gate.front_end`. */
function own(rate: number): FrontEnd {
  if (rate === OWN.sample_rate || rate < 2 * OWN.f_max) return OWN;
  const found = known.get(rate);
  if (found) return found;
  const ratio = rate / OWN.sample_rate;
  const length = Math.round(OWN.win_length * ratio);
  const made: FrontEnd = {
    ...OWN,
    sample_rate: rate,
    n_fft: Math.ceil(length / gate.fft_multiple) * gate.fft_multiple,
    win_length: length,
    hop_length: Math.round(OWN.hop_length * ratio),
  };
  known.set(rate, made);
  return made;
}

/** The part of `gateSpectrogram` from `startS`, `lengthS` long. */
export function cutGate(spectrogram: GateSpectrogram, startS: number, lengthS: number): Spectrogram {
  const { perSecond } = spectrogram;
  const n = Math.max(Math.floor(lengthS * perSecond), 1);
  const first = Math.min(Math.floor(startS * perSecond), spectrogram.nFrames - 1);
  return cutFrames(spectrogram, first, Math.min(first + n, spectrogram.nFrames));
}

/** The log odds of speech: above 0 it is more likely than not. */
export function speechOdds(marked: Spectrogram): number {
  const spectrogram = withoutClicks(marked);
  if (largest(spectrogram.cells) < gate.silence_db) return -Infinity;
  return traits(spectrogram).reduce((sum, value, i) => sum + gate.weights[i] * value, gate.bias);
}

/** Whether the gate can read the spectrogram of a model: that of the front end which it was fitted to. */
function isFitted(model: FrontEnd): boolean {
  return Object.entries(gate.fitted_front_end).every(([name, value]) => model[name as keyof FrontEnd] === value);
}

/** The loudness of each frame relative to the loudest, at least -60 dB. */
function loudnessDb({ nFrames, nMels, cells }: Spectrogram): number[] {
  const highest = largest(cells);
  const levels = Array.from({ length: nFrames }, (_, frame) => {
    let power = 0;
    for (let band = 0; band < nMels; band++) power += Math.exp((cells[frame * nMels + band] - highest) * (Math.LN10 / 10));
    return 10 * Math.log10(Math.max(power, 1e-30));
  });
  const loudest = largest(levels);
  return levels.map((level) => Math.max(level - loudest, gate.quietest_db));
}

/** How the bands rise and fall, together or not, and whether there are harmonics: the numbers that the gate reads. */
function traits(spectrogram: Spectrogram): number[] {
  const { nFrames, nMels, cells } = spectrogram;
  const loudness = loudnessDb(spectrogram);
  const floor = largest(cells) + gate.quietest_db;
  const floored = cells.map((cell) => Math.max(cell, floor));
  const frames = (above: number): number[] => loudness.flatMap((level, frame) => (level > above ? [frame] : []));
  const bands = Array.from({ length: gate.n_bands }, (_, band) =>
    Array.from({ length: nFrames }, (_, frame) => {
      let sum = 0;
      for (let i = frame * nMels + band * BAND; i < frame * nMels + (band + 1) * BAND; i++) sum += floored[i];
      return sum / BAND;
    }),
  );
  const ordered = bands.map((band) => [...band].sort((a, b) => a - b));
  const tenth = Math.floor(nFrames / 10);
  const [quiet, middle, loud] = [tenth, Math.floor(nFrames / 2), nFrames - 1 - tenth].map((i) => ordered.map((band) => band[i]));
  const loudFrames = frames(gate.loud_db);
  const shape = Array.from({ length: nMels }, (_, band) => mean(loudFrames.map((frame) => floored[frame * nMels + band])));
  const centred = bands.map((band) => {
    const middle = mean(band);
    return band.map((value) => value - middle);
  });
  return [
    ...loud.map((value, i) => value - middle[i]),
    ...middle.map((value, i) => value - quiet[i]),
    ...movement(centred),
    ...harmonics(frames(gate.active_db).map((frame) => floored.subarray(frame * nMels, frame * nMels + gate.n_harmonic))),
    ...steps(bands),
    ...cosines(nMels)
      .slice(1)
      .map((row) => row.reduce((sum, value, band) => sum + value * shape[band], 0)),
  ];
}

/** The shares of the modulation rates, and the correlations of all pairs of bands with mean zero. */
function movement(bands: number[][]): number[] {
  const nFrames = bands[0].length;
  const size = Math.max(nFrames, gate.n_modulation);
  const edges = gate.modulations.map((edge) => Math.ceil((edge * size) / gate.n_modulation));
  const turnRe = Float64Array.from({ length: size }, (_, i) => Math.cos((2 * Math.PI * i) / size));
  const turnIm = Float64Array.from({ length: size }, (_, i) => Math.sin((2 * Math.PI * i) / size));
  const window = Array.from({ length: nFrames }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * (i + 1)) / (nFrames + 1)));
  const windowed = bands.map((band) => band.map((value, i) => value * window[i]));
  const powers = edges.map(() => 0);
  for (let bin = edges[0], rate = 0; bin <= Math.floor(size / 2); bin++) {
    while (bin >= edges[rate + 1]) rate++;
    for (const band of windowed) {
      let real = 0;
      let imaginary = 0;
      for (let i = 0, turn = 0; i < nFrames; i++, turn = (turn + bin) % size) {
        real += band[i] * turnRe[turn];
        imaginary += band[i] * turnIm[turn];
      }
      powers[rate] += real * real + imaginary * imaginary;
    }
  }
  const total = powers.reduce((sum, power) => sum + power, 0) + 1e-6;
  const product = (one: number[], other: number[]): number => one.reduce((sum, value, i) => sum + value * other[i], 0);
  const sizes = bands.map((band) => Math.sqrt(product(band, band)) + 1e-3);
  const correlations = bands.flatMap((band, i) => bands.slice(i + 1).map((other, j) => product(band, other) / (sizes[i] * sizes[i + 1 + j])));
  return [...powers.map((power) => Math.log(power / total + 1e-3)), ...correlations];
}

/** The ripple along the lower bands: regularity, its variation, depth, its variation, and the variation of the period. */
function harmonics(frames: Float32Array[]): number[] {
  const reach = Math.floor(gate.ripple_bands / 2);
  const n = gate.n_harmonic;
  const found = frames.map((low) => {
    // The bands minus their running mean; beyond the edges, the first and the last band are repeated.
    const ripple = Array.from(low, (value, i) => {
      let sum = 0;
      for (let offset = -reach; offset <= reach; offset++) sum += low[Math.min(Math.max(i + offset, 0), n - 1)];
      return value - sum / gate.ripple_bands;
    });
    const product = (lag: number): number => {
      let sum = 0;
      for (let i = 0; i + lag < n; i++) sum += ripple[i] * ripple[i + lag];
      return sum;
    };
    const energy = product(0) + 1;
    const regular = gate.harmonic_lags.map((lag) => product(lag) / energy);
    const best = largest(regular);
    return { regular: best, depth: Math.sqrt(energy / n), period: regular.indexOf(best) };
  });
  const [regular, depth, period] = (["regular", "depth", "period"] as const).map((name) => found.map((one) => one[name]));
  return [mean(regular), deviation(regular), mean(depth), deviation(depth), deviation(period)];
}

/** The steps of the bands from frame to frame: their mean, their deviation, and the mean of each band's largest. */
function steps(bands: number[][]): number[] {
  const sizes = bands.map((band) => band.slice(1).map((value, i) => Math.abs(value - band[i])));
  const nSteps = sizes[0].length;
  if (nSteps === 0) return [0, 0, 0];
  const ofFrames = Array.from({ length: nSteps }, (_, i) => mean(sizes.map((band) => band[i])));
  return [mean(ofFrames), deviation(ofFrames), mean(sizes.map((band) => largest(band)))];
}

/** The first rows of the discrete cosine transform (type II). */
function cosines(nMels: number): number[][] {
  return Array.from({ length: gate.n_cepstra }, (_, k) =>
    Array.from({ length: nMels }, (_, i) => Math.cos((Math.PI * k * (2 * i + 1)) / (2 * nMels)) * Math.sqrt(2 / nMels)),
  );
}
