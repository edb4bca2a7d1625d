/**
 * Resample with the quality of soxr's HQ: flat up to 0.913 of the lower Nyquist frequency, more than 120 dB down from
 * Nyquist on. A polyphase windowed sinc (Kaiser 1974), with one row of taps per phase.
 */

const PASS = 0.913; // of the lower Nyquist frequency
const ATTENUATION_DB = 125;
const BETA = 0.1102 * (ATTENUATION_DB - 8.7);
const MOST_PHASES = 2048; // for odd ratios, neighbouring phases are interpolated, with an error of -130 dB

interface Filter {
  half: number; // taps on either side
  nPhases: number;
  rows: Float64Array[]; // (nPhases + 1) of 2 * half taps
}

const filters = new Map<string, Filter>();

/**
 * @param samples mono, at `source` Hz
 * @returns ceil(n * target / source) samples at `target` Hz, with no delay
 */
export function resample(samples: Float32Array, source: number, target: number): Float32Array {
  if (source === target) return samples;
  const divisor = gcd(source, target);
  const up = target / divisor;
  const down = source / divisor;
  const { half, nPhases, rows } = filterOf(up, down);
  const exact = nPhases === up;
  const out = new Float32Array(Math.ceil((samples.length * target) / source));
  for (let k = 0; k < out.length; k++) {
    const at = k * down;
    const first = Math.floor(at / up) - half + 1;
    const place = ((at % up) * nPhases) / up;
    const phase = Math.floor(place);
    let value = dot(samples, first, rows[phase]);
    if (!exact && place > phase) value += (place - phase) * (dot(samples, first, rows[phase + 1]) - value);
    out[k] = value;
  }
  return out;
}

function dot(samples: Float32Array, first: number, taps: Float64Array): number {
  const from = Math.max(0, -first);
  const to = Math.min(taps.length, samples.length - first);
  let sum = 0;
  for (let i = from; i < to; i++) sum += samples[first + i] * taps[i];
  return sum;
}

function filterOf(up: number, down: number): Filter {
  const key = `${up}:${down}`;
  const known = filters.get(key);
  if (known) return known;
  const lower = Math.min(1, up / down); // the lower Nyquist frequency, relative to the source's
  const cutoff = (0.5 + PASS / 2) * lower;
  const half = Math.ceil((ATTENUATION_DB - 7.95) / (2.285 * Math.PI * (1 - PASS) * lower) / 2) + 1;
  const nPhases = Math.min(up, MOST_PHASES);
  const rows: Float64Array[] = [];
  for (let phase = 0; phase <= nPhases; phase++) {
    const taps = new Float64Array(2 * half);
    let sum = 0;
    for (let i = 0; i < taps.length; i++) {
      const t = i - half + 1 - phase / nPhases;
      taps[i] = cutoff * sinc(cutoff * t) * kaiser(t / half);
      sum += taps[i];
    }
    for (let i = 0; i < taps.length; i++) taps[i] /= sum; // the same level in every phase
    rows.push(taps);
  }
  const filter = { half, nPhases, rows };
  filters.set(key, filter);
  return filter;
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

function kaiser(x: number): number {
  return Math.abs(x) >= 1 ? 0 : bessel(BETA * Math.sqrt(1 - x * x)) / bessel(BETA);
}

/** The modified Bessel function of the first kind, order 0, by its power series. */
function bessel(x: number): number {
  let term = 1;
  let sum = 1;
  for (let k = 1; term > 1e-12 * sum; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}
