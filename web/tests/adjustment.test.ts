import { expect, test } from "vitest";
import { AdjustedEngine, estimate, predict } from "../src/engine/adjustment";
import type { Engine } from "../src/engine/engine";
import { toPrediction, toWindow } from "../src/engine/predictions";
import type { Model, Prediction, Window } from "../src/types";
import { model, output, recording } from "./outputs";
import cases from "./settling.json";

const short = { ...recording, durationS: 3 };
const plain: Prediction = toPrediction(output(0.7), model, short);

/** An engine that gives the same answer for every recording. */
function engineOf(prediction: Prediction, windows: Window[] = []): Engine {
  return {
    where: "browser",
    recognise: async (_, callbacks) => {
      windows.forEach((_, i) => callbacks.onWindows(windows.slice(0, i + 1), (i + 1) / windows.length));
      callbacks.onPrediction(prediction, 1);
    },
    live: (_, onWindow) => ({ push: () => windows.forEach(onWindow), stop: () => undefined }),
  };
}

for (const one of cases)
  test(`the page settles as Python does: ${one.name}`, async () => {
    const rows = one.probabilities.map((row) => Object.fromEntries(one.labels.map((label, i) => [label, row[i]])));
    const predictions = rows.map((probabilities): Prediction => ({ ...plain, probabilities, emotion: one.labels[0] }));
    const settled = estimate([...predictions, { ...plain, probabilities: {}, emotion: null }], one.labels);
    expect(settled.n_recordings).toBe(predictions.length);
    settled.shift.forEach((value, i) => expect(Math.abs(value - one.shift[i])).toBeLessThan(1e-6));
    const engine = new AdjustedEngine({ ...model, labels: one.labels } as Model, engineOf(predictions[0]));
    engine.settled = settled;
    engine.emotions = one.emotions;
    const found = await predict(engine, short);
    expect(Object.keys(found.probabilities)).toEqual(one.emotions);
    Object.values(found.probabilities).forEach((value, i) => expect(Math.abs(value - one.adjusted[i])).toBeLessThan(1e-6));
    expect(found.settled_on).toBe(predictions.length);
  });

test("without settling and with all emotions, answers are the plain ones", async () => {
  expect(await predict(new AdjustedEngine(model, engineOf(plain)), short)).toEqual(plain);
});

test("a shift changes the emotion, and whether the model abstains, of predictions, windows and long recordings", async () => {
  const windows = [0.7, 0.6, 0.9].map((p, i) => toWindow(output(p), model, i, i + 3, i));
  const engine = new AdjustedEngine(model, engineOf(plain, windows));
  engine.settled = { n_recordings: 10, shift: [2, 0] };
  const found = await predict(engine, short);
  expect([found.emotion, found.abstain, found.settled_on]).toEqual(["sad", false, 10]);
  expect(found.probability).toBeCloseTo(0.3 / (0.3 + 0.7 * Math.exp(-2)), 9);
  const live: Window[] = [];
  engine.live(48000, (window) => live.push(window), () => undefined).push(new Float32Array());
  expect(live.map(({ emotion, abstain }) => [emotion, abstain])).toEqual([["sad", false], ["sad", false], ["happy", true]]);
  const long = await predict(engine, { ...recording, durationS: 12 });
  expect(long.settled_on).toBe(10);
  expect(long.shares.sad).toBeGreaterThan(0.2); // without settling all windows are happy
});

test("a server's own profile is the default", () => {
  const settled = { n_recordings: 25, shift: [1, 0] };
  expect(new AdjustedEngine({ ...model, settled }, engineOf(plain)).settledOn).toBe(25);
  expect(new AdjustedEngine({ ...model, settled: null }, engineOf(plain)).settledOn).toBe(0);
});

test("recordings without speech stay without an emotion", async () => {
  const silent = toPrediction(output(0.7, { speech: false }), model, short);
  const engine = new AdjustedEngine(model, engineOf(silent));
  engine.settled = { n_recordings: 7, shift: [1, 0] };
  expect(await predict(engine, short)).toEqual({ ...silent, settled_on: 7 });
});
