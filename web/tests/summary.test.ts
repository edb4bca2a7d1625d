import { expect, test } from "vitest";
import { facts } from "../src/facts";
import type { NetworkOutput } from "../src/engine/messages";
import { toTimeline, toWindow } from "../src/engine/predictions";
import { cautionsOverTime, isLong, meanRatings, summarise } from "../src/engine/summary";
import { model, output, recording } from "./outputs";

function timelineOf(outputs: NetworkOutput[], durationS: number) {
  const windows = outputs.map((one, i) => toWindow(one, model, 3 * i, 3 * i + 3, 3 * i));
  return toTimeline(windows, model, "a.wav", durationS, 3, 3, []);
}

test("the shares are the parts of the speech with each emotion, and the largest decides", () => {
  const found = summarise(timelineOf([output(0.9), output(0.2), output(0.5, { speech: false }), output(0.8)], 12));
  expect(found.shares.happy).toBeCloseTo(2 / 3);
  expect(found.shares.sad).toBeCloseTo(1 / 3);
  expect(found.probabilities.happy).toBeCloseTo(1.9 / 3);
  expect(found.probability).toBeCloseTo(1.9 / 3);
  expect(found.margin).toBeCloseTo(1 / 3);
  expect(found).toMatchObject({ emotion: "happy", abstain: true, attention: [], voiced_start_s: 0.5, voiced_end_s: 11 });
});

test("the dimensions of a long recording are the means over its windows with speech", () => {
  const rated = { ...model, dimensions: [{ name: "arousal", low: 1, high: 7 }] };
  const spoken = [output(0.9, { dimensions: [2] }), output(0.2, { dimensions: [5] })];
  const dimensions = meanRatings(spoken, rated);
  expect(dimensions).toEqual({ arousal: { value: 3.5, low: 1, high: 7 } });
  expect(summarise({ ...timelineOf(spoken, 12), dimensions }).dimensions).toEqual(dimensions);
  expect([meanRatings([], rated), meanRatings([output(0.9)], model)]).toEqual([{}, {}]);
});

test("windows without speech have no summary", () => {
  const found = summarise(timelineOf([output(0.9, { speech: false })], 12));
  expect(found).toMatchObject({ emotion: null, probability: null, shares: {}, probabilities: {}, abstain: true });
});

test("only recordings longer than the package's limit are long", () => {
  expect([isLong(facts.long_s), isLong(facts.long_s + 0.001)]).toEqual([false, true]);
});

test("the warnings of a long recording are about all its windows with speech, and never about one voiced span", () => {
  const codes = (outputs: NetworkOutput[]): string[] => cautionsOverTime(outputs, model, recording).map((one) => one.code);
  expect(codes([output(0.9), output(0.9, { voicedEndS: 0.6 })])).toEqual([]);
  expect(codes([])).toEqual(["no-speech"]);
  // One window with sound above the telephone band is enough, if it is not far below the loudest.
  expect(codes([output(0.9, { highDb: -70 }), output(0.9, { highDb: -70 })])).toEqual(["narrow-band"]);
  expect(codes([output(0.9, { highDb: -70 }), output(0.9)])).toEqual([]);
  expect(codes([output(0.9, { highDb: -70 }), output(0.9, { loudestDb: -50 })])).toEqual(["narrow-band"]);
  expect(codes([output(0.9, { rmsDb: -70 })])).toEqual(["very-quiet"]);
});

test("the largest share decides even if another emotion has the highest mean probability", () => {
  const found = summarise(timelineOf([output(0.55), output(0.55), output(0.05)], 9));
  expect(found.emotion).toBe("happy");
  expect(found.probability).toBeCloseTo(1.15 / 3);
});
