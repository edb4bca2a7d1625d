/** Cut a recording into windows, as `emocatcher timeline` does. */

export interface Cut {
  startS: number;
  endS: number;
  first: number; // first sample, at the model's rate: the centre of the window's first frame
  last: number; // end, exclusive
}

/**
 * @param nSamples at `rate`, the model's
 * @param hopLength samples from one frame of the model to the next
 */
export function cuts(nSamples: number, rate: number, hopLength: number, windowS: number, hopS: number): Cut[] {
  const nFrames = 1 + Math.floor(nSamples / hopLength);
  const windowFrames = 1 + Math.floor((windowS * rate) / hopLength);
  const durationS = nSamples / rate;
  const found: Cut[] = [];
  // For n samples, the graph computes 1 + n / hop frames.
  const add = (startS: number, endS: number, firstFrame: number, lastFrame: number): void => {
    const first = firstFrame * hopLength;
    found.push({ startS, endS, first, last: Math.min(lastFrame * hopLength - 1, nSamples) });
  };
  let reached = 0;
  for (let k = 0; ; k++) {
    const startS = k * hopS;
    const firstFrame = Math.round((startS * rate) / hopLength);
    const endS = startS + windowS;
    if (firstFrame + windowFrames > nFrames || Math.round(endS * rate) > nSamples) break;
    reached = firstFrame + windowFrames;
    add(startS, endS, firstFrame, reached);
  }
  if (reached < nFrames)
    add(Math.max(durationS - windowS, 0), durationS, Math.max(nFrames - windowFrames, 0), nFrames);
  return found;
}
