/** Whether a recording is unlike the training recordings, as `emocatcher.features.training_conditions` decides. */
import { facts } from "../facts";
import type { Conditions } from "../types";
import type { Spectrogram } from "./log_mel";
import { deviation, largest, mean } from "./statistics";

const { n_cepstra: N_CEPSTRA, active_db: ACTIVE_DB, quietest_db: QUIETEST_DB } = facts.gate;

/** How many standard deviations a voiced span is from the training mean (Mahalanobis 1936). */
export function distance(spectrogram: Spectrogram, conditions: Conditions): number {
  const { mean: centre, scale, precision } = conditions;
  const scaled = summary(spectrogram, loudnessDb(spectrogram)).map((value, i) => (value - centre[i]) / scale[i]);
  let sum = 0;
  scaled.forEach((one, i) => scaled.forEach((other, j) => (sum += one * precision[i][j] * other)));
  return Math.sqrt(Math.max(sum, 0) / scaled.length);
}

/** The loudness of each frame relative to the loudest, at least -60 dB. */
export function loudnessDb({ nFrames, nMels, cells }: Spectrogram): number[] {
  const highest = largest(cells);
  const levels = Array.from({ length: nFrames }, (_, frame) => {
    let power = 0;
    for (let band = 0; band < nMels; band++) power += Math.exp((cells[frame * nMels + band] - highest) * (Math.LN10 / 10));
    return 10 * Math.log10(Math.max(power, 1e-30));
  });
  const loudest = largest(levels);
  return levels.map((level) => Math.max(level - loudest, QUIETEST_DB));
}

/** `emocatcher.features.training_conditions.summary`: the shape of the spectrum, how much and how fast it varies, and loudness. */
export function summary(spectrogram: Spectrogram, loudness: number[]): number[] {
  const { nFrames, nMels, cells } = spectrogram;
  const rows = cosines(nMels);
  const cepstra = Array.from({ length: nFrames }, (_, frame) =>
    rows.map((row) => {
      let sum = 0;
      for (let band = 0; band < nMels; band++) sum += row[band] * cells[frame * nMels + band];
      return sum;
    }),
  );
  const isActive = loudness.map((level) => level > ACTIVE_DB);
  const kept = cepstra.filter((_, frame) => isActive[frame]);
  const column = (of: number[][], i: number): number[] => of.map((row) => row[i]);
  const each = (make: (i: number) => number): number[] => Array.from({ length: N_CEPSTRA }, (_, i) => make(i));
  const steps = cepstra.flatMap((row, frame) => {
    const next = cepstra[frame + 1];
    return next && isActive[frame] && isActive[frame + 1] ? [row.map((value, i) => Math.abs(next[i] - value))] : [];
  });
  return [
    ...each((i) => mean(column(kept, i))).slice(1),
    ...each((i) => deviation(column(kept, i))),
    ...each((i) => mean(column(steps, i))),
    mean(loudness),
    deviation(loudness),
    mean(loudness.slice(1).map((level, i) => Math.abs(level - loudness[i]))),
    kept.length / nFrames,
  ];
}

/** The first rows of the discrete cosine transform (type II). */
export function cosines(nMels: number): number[][] {
  return Array.from({ length: N_CEPSTRA }, (_, k) =>
    Array.from({ length: nMels }, (_, i) => Math.cos((Math.PI * k * (2 * i + 1)) / (2 * nMels)) * Math.sqrt(2 / nMels)),
  );
}
