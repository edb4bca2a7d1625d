/** Subtract the mean, which a cheap sound card adds to every sample, as `emocatcher.audio.remove_offset` does. */
export function removeOffset(samples: Float32Array): Float32Array {
  let sum = 0;
  for (const sample of samples) sum += sample;
  const offset = sum / Math.max(samples.length, 1);
  return samples.map((sample) => sample - offset);
}
