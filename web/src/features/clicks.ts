/** Find the frames with a click, as `emocatcher.features.voiced_span.clicks` does. */
import { facts } from "../facts";
import type { FrontEnd } from "../types";
import type { Spectrogram } from "./log_mel";

/** The frames of a spectrogram that are not marked as clicked, unless all are. */
export function withoutClicks(spectrogram: Spectrogram): Spectrogram {
  const { nFrames, nMels, cells, clicked } = spectrogram;
  const kept = (clicked ?? []).flatMap((one, frame) => (one ? [] : [frame]));
  if (kept.length === 0 || kept.length === nFrames) return spectrogram;
  const found = new Float32Array(kept.length * nMels);
  kept.forEach((frame, i) => found.set(cells.subarray(frame * nMels, (frame + 1) * nMels), i * nMels));
  return { nFrames: kept.length, nMels, cells: found };
}

/** Whether each frame contains a click. */
export function clicks(waveform: Float32Array, nFrames: number, frontEnd: FrontEnd): boolean[] {
  const { block_s, near, far, db, floor } = facts.clicks;
  const size = Math.max(Math.round(block_s * frontEnd.sample_rate), 1);
  const nBlocks = Math.ceil(waveform.length / size);
  const level = Array.from({ length: nBlocks }, (_, block) => {
    let sum = 0;
    for (const sample of waveform.subarray(block * size, (block + 1) * size)) sum += sample * sample;
    return 10 * Math.log10(Math.max(sum / size, floor));
  });
  const at = (block: number): number => level[block] ?? 10 * Math.log10(floor);
  const isClick = level.map((own, block) => {
    for (let distance = near + 1; distance <= far; distance++)
      if (own - Math.max(at(block - distance), at(block + distance)) <= db) return false;
    return true;
  });
  const half = Math.floor(frontEnd.win_length / 2);
  return Array.from({ length: nFrames }, (_, frame) => {
    const centre = frame * frontEnd.hop_length;
    const last = Math.floor((centre + half + size - 1) / size);
    return isClick.slice(Math.floor(Math.max(centre - half, 0) / size), last).some(Boolean);
  });
}
