import { expect, test } from "vitest";
import { cuts } from "../src/engine/cuts";
import { toPrediction, toSegments, toWindow, windowAt } from "../src/engine/predictions";
import { emotionOf } from "../src/ravdess";
import { guessesCsv, timelineCsv, timelineSrt } from "../src/save/formats";
import { accuracy, confusion, shuffled, wilson } from "../src/stats";
import type { Timeline, Window } from "../src/types";
import { contrast, visible } from "../src/view/shades";
import { facts } from "../src/facts";
import { model, output, recording } from "./outputs";

function windowAtStart(startS: number, emotion: string | null, p = 0.8): Window {
  return toWindow(output(emotion === "sad" ? 1 - p : p, { speech: emotion !== null }), model, startS, startS + 3, startS);
}

const windows = [
  windowAtStart(0, "happy", 0.6),
  windowAtStart(0.5, "happy", 0.8),
  windowAtStart(1, null),
  windowAtStart(1.5, "sad", 0.9),
];
const timeline: Timeline = {
  schema_version: 2,
  path: "a.wav",
  channel: null,
  model: "m",
  model_version: "1",
  labels: model.labels,
  window_s: 3,
  hop_s: 0.5,
  settled_on: 0,
  duration_s: 4.5,
  abstain_below: 0.75,
  warnings: [],
  dimensions: {},
  segments: toSegments(windows, 4.5, 0.75),
  windows,
};

test("a sound without speech has no emotion, and no number about one", () => {
  const found = toPrediction(output(0.8, { speech: false, rmsDb: -200 }), model, recording);
  expect([found.emotion, found.probability, found.margin, found.entropy, found.voiced_start_s]).toEqual([null, null, null, null, null]);
  expect([found.probabilities, found.shares, found.attention, found.abstain]).toEqual([{}, {}, [], true]);
  expect(found.warnings.map((one) => one.code)).toEqual(["no-speech"]);
  expect(toPrediction(output(0.8), model, recording)).toMatchObject({ emotion: "happy", shares: {}, abstain: false });
});

test("a model that estimates dimensions gives them by name, within their ranges, and none without speech", () => {
  const rated = { ...model, dimensions: [{ name: "arousal", low: 1, high: 7 }, { name: "valence", low: -1, high: 1 }] };
  const found = toPrediction(output(0.8, { dimensions: [4.5, -1.0000001] }), rated, recording);
  expect(found.dimensions).toEqual({ arousal: { value: 4.5, low: 1, high: 7 }, valence: { value: -1, low: -1, high: 1 } });
  expect(toPrediction(output(0.8, { dimensions: [4.5, 0], speech: false }), rated, recording).dimensions).toEqual({});
  expect(toPrediction(output(0.8), model, recording).dimensions).toEqual({});
});

test("windows are cut as on the command line", () => {
  const found = cuts(Math.round(3.7 * 22050), 22050, 1364, 3, 0.5);
  expect(found.map(({ startS }) => Number(startS.toFixed(3)))).toEqual([0, 0.5, 0.7]);
  expect(found.at(-1)?.endS).toBeCloseTo(3.7, 6);
  expect(cuts(22050, 22050, 1364, 3, 0.5)).toEqual([{ startS: 0, endS: 1, first: 0, last: 22050 }]);
});

test("neighbouring windows of one emotion become one segment, and segments have no gaps", () => {
  expect(timeline.segments.map((one) => one.emotion)).toEqual(["happy", null, "sad"]);
  expect(timeline.segments[0].probability).toBeCloseTo(0.7);
  expect(timeline.segments.map((one) => one.abstain)).toEqual([true, true, false]);
  expect(timeline.segments.map((one) => one.start_s)).toEqual([0, 2.25, 2.75]);
  expect(timeline.segments.at(-1)?.end_s).toBe(4.5);
});

test("a moment belongs to the window with the nearest centre", () => {
  expect(windowAt(windows, 4.5, 0)).toBe(windows[0]);
  expect(windowAt(windows, 4.5, 2.3)).toBe(windows[2]);
  expect(windowAt(windows, 4.5, 4.5)).toBe(windows[3]);
  expect(windowAt([], 4.5, 1)).toBeUndefined();
});

test("subtitles leave out segments without speech", () => {
  expect(timelineSrt(timeline)).toBe(
    "1\n00:00:00,000 --> 00:00:02,250\nhappy? 70%\n\n2\n00:00:02,750 --> 00:00:04,500\nsad 90%\n",
  );
});

test("CSV has one row per window, with empty cells without speech", () => {
  const rows = timelineCsv(timeline).split("\n");
  expect(rows[0]).toBe("path,start_s,end_s,time_s,speech,emotion,probability,abstain,probability_happy,probability_sad,voiced_start_s,voiced_end_s");
  expect(rows[1]).toBe("a.wav,0.000000,3.000000,1.500000,true,happy,0.600000,true,0.600000,0.400000,0.500000,2.000000");
  expect(rows[3]).toContain("false,,,true,,,");
  expect(rows).toHaveLength(6);
});

test("cells with commas and quotes are quoted", () => {
  const row = guessesCsv([
    { clip: 'a,"b".wav', truth: "sad", guess: "sad", model: "happy", modelProbability: 0.5, seconds: 2 },
  ]).split("\n")[1];
  expect(row).toBe('"a,""b"".wav",sad,sad,true,happy,0.500000,false,2.000000');
});

test("the Wilson interval equals Newcombe 1998, table I: 81 of 263 and 1 of 29", () => {
  const [some, few] = [wilson(81, 263), wilson(1, 29)];
  expect([some.low, some.high].map((value) => value.toFixed(4))).toEqual(["0.2553", "0.3662"]);
  expect([few.low, few.high].map((value) => value.toFixed(4))).toEqual(["0.0061", "0.1718"]);
  expect(wilson(0, 0)).toMatchObject({ low: 0, high: 1 });
});

test("the confusion matrix counts guesses by acted emotion", () => {
  const answers = [
    { truth: "happy", guess: "happy" },
    { truth: "happy", guess: "sad" },
    { truth: "sad", guess: "sad" },
  ];
  expect(confusion(answers, model.labels)).toEqual([
    [1, 1],
    [0, 1],
  ]);
  expect(accuracy(answers).share).toBeCloseTo(2 / 3);
  expect([...shuffled([1, 2, 3, 4])].sort()).toEqual([1, 2, 3, 4]);
});

test("only names of RAVDESS speech clips have an emotion", () => {
  expect(emotionOf("Actor_16/03-01-05-02-01-02-16.flac")).toBe("angry");
  expect(emotionOf("03-01-01-02-01-02-16.wav")).toBeNull(); // neutral is never strong
  expect(emotionOf("03-02-05-02-01-02-16.wav")).toBeNull(); // a song
  expect(emotionOf("voice.wav")).toBeNull();
});

test("every colour has a contrast of 3:1 on both backgrounds", () => {
  for (const hex of [...Object.values(facts.colours), ...facts.spare_colours])
    for (const paper of ["#ffffff", "#191a1c"]) expect(contrast(visible(hex, paper), paper)).toBeGreaterThanOrEqual(3);
});

test("a CSV has no cell that a spreadsheet would run", () => {
  const guess = { clip: "=1+1.wav", truth: "+a", guess: "'-b", model: "@c", modelProbability: 0.5, seconds: 1 };
  expect(guessesCsv([guess]).split("\n")[1]).toBe("'=1+1.wav,'+a,''-b,false,'@c,0.500000,false,1.000000");
});
