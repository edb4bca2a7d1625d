/** The log-mel spectrogram of `emocatcher.features.extraction`, for the checks of a recording. */
import type { FrontEnd } from "../types";
import { largest } from "./statistics";

/** Frames in the order of time, `nMels` numbers each, in dB. */
export interface Spectrogram {
  nFrames: number;
  nMels: number;
  cells: Float32Array;
  clicked?: boolean[]; // the frames that the speech gate leaves out
}

/** @param waveform mono, at the front end's sample rate */
export function logMel(waveform: Float32Array, frontEnd: FrontEnd): Spectrogram {
  return floored(levels(waveform, frontEnd), frontEnd);
}

/** With a floor below the loudest cell, which is that of the clip. */
export function floored({ nFrames, nMels, cells }: Spectrogram, frontEnd: FrontEnd): Spectrogram {
  const floor = largest(cells) - frontEnd.floor_db;
  return { nFrames, nMels, cells: cells.map((cell) => Math.max(cell, floor)) };
}

/** Without a floor. */
export function levels(waveform: Float32Array, frontEnd: FrontEnd): Spectrogram {
  const { n_fft: size, win_length: length, hop_length: hop, n_mels: nMels } = frontEnd;
  const { window, filters, transform } = prepared(frontEnd);
  const nFrames = 1 + Math.floor(waveform.length / hop);
  const before = Math.floor(size / 2) - Math.floor((size - length) / 2);
  const cells = new Float32Array(nFrames * nMels);
  const real = new Float64Array(size);
  const imaginary = new Float64Array(size);
  const power = [new Float64Array(size / 2 + 1), new Float64Array(size / 2 + 1)];
  const fill = (frame: number, into: Float64Array): void => {
    into.fill(0);
    const start = frame * hop - before;
    const end = frame < nFrames ? Math.min(length, waveform.length - start) : 0;
    for (let i = Math.max(-start, 0); i < end; i++) into[i] = waveform[start + i] * window[i];
  };
  for (let frame = 0; frame < nFrames; frame += 2) {
    // Two frames as one complex signal: their spectra are its even and odd part.
    fill(frame, real);
    fill(frame + 1, imaginary);
    transform(real, imaginary);
    for (let bin = 0; bin <= size / 2; bin++) {
      const other = bin === 0 ? 0 : size - bin;
      const evenRe = 0.5 * (real[bin] + real[other]);
      const evenIm = 0.5 * (imaginary[bin] - imaginary[other]);
      const oddRe = 0.5 * (imaginary[bin] + imaginary[other]);
      const oddIm = 0.5 * (real[other] - real[bin]);
      power[0][bin] = evenRe * evenRe + evenIm * evenIm;
      power[1][bin] = oddRe * oddRe + oddIm * oddIm;
    }
    for (let part = 0; part < 2 && frame + part < nFrames; part++)
      for (let band = 0; band < nMels; band++) {
        const { first, weights } = filters[band];
        let sum = 0;
        for (let k = 0; k < weights.length; k++) sum += weights[k] * power[part][first + k];
        cells[(frame + part) * nMels + band] = 10 * Math.log10(Math.max(sum, frontEnd.amin));
      }
  }
  return { nFrames, nMels, cells };
}

/** The frames from `first` to `last`, exclusive. */
export function cutFrames({ nMels, cells, clicked }: Spectrogram, first: number, last: number): Spectrogram {
  const cut = { nFrames: last - first, nMels, cells: cells.subarray(first * nMels, last * nMels) };
  return clicked ? { ...cut, clicked: clicked.slice(first, last) } : cut;
}

/** The centre frequencies of the mel bands, Hz, on Slaney's scale: linear below 1000 Hz, logarithmic above. */
export function centresHz(frontEnd: FrontEnd): number[] {
  return edgesHz(frontEnd).slice(1, -1);
}

interface Filter {
  first: number; // bin
  weights: number[];
}

interface Prepared {
  window: Float64Array;
  filters: Filter[];
  transform: (real: Float64Array, imaginary: Float64Array) => void;
}

const known = new Map<FrontEnd, Prepared>();

function prepared(frontEnd: FrontEnd): Prepared {
  const found = known.get(frontEnd);
  if (found) return found;
  const { n_fft: size, win_length: length } = frontEnd;
  const window = Float64Array.from({ length }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / length));
  const made = { window, filters: melFilters(frontEnd), transform: fourier(size) };
  known.set(frontEnd, made);
  return made;
}

/** Triangles of equal area (Slaney 1998, Auditory Toolbox). */
function melFilters(frontEnd: FrontEnd): Filter[] {
  const edges = edgesHz(frontEnd);
  const step = frontEnd.sample_rate / frontEnd.n_fft;
  const last = Math.min(Math.floor(frontEnd.f_max / step), Math.floor(frontEnd.n_fft / 2));
  return edges.slice(1, -1).map((centre, band) => {
    const [lower, upper] = [edges[band], edges[band + 2]];
    const first = Math.max(Math.ceil(lower / step), 0);
    const weights: number[] = [];
    for (let bin = first; bin <= last && bin * step < upper; bin++) {
      const hz = bin * step;
      const height = Math.max(0, Math.min((hz - lower) / (centre - lower), (upper - hz) / (upper - centre)));
      weights.push((height * 2) / (upper - lower));
    }
    return { first, weights };
  });
}

function edgesHz({ f_min, f_max, n_mels }: FrontEnd): number[] {
  const [hzPerMel, breakHz, step] = [200 / 3, 1000, Math.log(6.4) / 27];
  const breakMel = breakHz / hzPerMel;
  const toMel = (hz: number): number => (hz < breakHz ? hz / hzPerMel : breakMel + Math.log(hz / breakHz) / step);
  const [low, high] = [toMel(f_min), toMel(f_max)];
  return Array.from({ length: n_mels + 2 }, (_, i) => {
    const mel = low + ((high - low) * i) / (n_mels + 1);
    return mel < breakMel ? mel * hzPerMel : breakHz * Math.exp(step * (mel - breakMel));
  });
}

/**
 * The Fourier transform of `size` numbers, in place: by halves (Cooley and Tukey 1965) as long as the size is even,
 * and by the sum itself for what is left.
 */
export function fourier(size: number): (real: Float64Array, imaginary: Float64Array) => void {
  const cosines = Float64Array.from({ length: size }, (_, i) => Math.cos((2 * Math.PI * i) / size));
  const sines = Float64Array.from({ length: size }, (_, i) => Math.sin((2 * Math.PI * i) / size));
  let odd = size;
  while (odd % 2 === 0) odd /= 2;
  const nBlocks = size / odd;
  // Where each block of `odd` numbers comes from: every `nBlocks`-th number, from the bits of the block in reverse.
  const starts = new Uint32Array(nBlocks);
  for (let n = 1; n < nBlocks; n *= 2) for (let i = 0; i < n; i++) starts[n + i] = starts[i] + nBlocks / (2 * n);
  const re = new Float64Array(size);
  const im = new Float64Array(size);
  return (real, imaginary) => {
    for (let block = 0; block < nBlocks; block++)
      for (let k = 0; k < odd; k++) {
        let sumRe = 0;
        let sumIm = 0;
        for (let j = 0; j < odd; j++) {
          const from = starts[block] + j * nBlocks;
          const turn = (j * k * nBlocks) % size;
          sumRe += real[from] * cosines[turn] + imaginary[from] * sines[turn];
          sumIm += imaginary[from] * cosines[turn] - real[from] * sines[turn];
        }
        re[block * odd + k] = sumRe;
        im[block * odd + k] = sumIm;
      }
    for (let half = odd; half < size; half *= 2) {
      const stride = size / (2 * half);
      for (let start = 0; start < size; start += 2 * half)
        for (let k = 0, turn = 0; k < half; k++, turn += stride) {
          const a = start + k;
          const b = a + half;
          const turnedRe = re[b] * cosines[turn] + im[b] * sines[turn];
          const turnedIm = im[b] * cosines[turn] - re[b] * sines[turn];
          re[b] = re[a] - turnedRe;
          im[b] = im[a] - turnedIm;
          re[a] += turnedRe;
          im[a] += turnedIm;
        }
    }
    real.set(re);
    imaginary.set(im);
  };
}
