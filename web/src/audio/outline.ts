/** Reduce a waveform to few enough samples to draw. */

const N_PEAKS = 4096;

/** For each of `n` equal parts, the sample farthest from zero. */
export function outline(samples: Float32Array, n = N_PEAKS): Float32Array {
  const size = Math.min(n, samples.length);
  const peaks = new Float32Array(size);
  for (let k = 0; k < size; k++) {
    const end = Math.floor(((k + 1) * samples.length) / size);
    for (let i = Math.floor((k * samples.length) / size); i < end; i++)
      if (Math.abs(samples[i]) > Math.abs(peaks[k])) peaks[k] = samples[i];
  }
  return peaks;
}
