/** Results as files: the same JSON, CSV and SRT as the command line writes. */
import type { Prediction, Timeline, Window } from "../types";

export interface Guess {
  clip: string;
  truth: string;
  guess: string;
  model: string | null; // null if the model found no speech
  modelProbability: number | null;
  seconds: number; // from the end of loading to the guess
}

/** As `emocatcher predict --format json`: an array. */
export function predictionJson(prediction: Prediction): string {
  return `${JSON.stringify([prediction], null, 2)}\n`;
}

/** As `emocatcher timeline --format json`: one object. */
export function timelineJson(timeline: Timeline): string {
  return `${JSON.stringify(timeline)}\n`;
}

/** As `emocatcher timeline --format csv`: one row per window. */
export function timelineCsv(timeline: Timeline): string {
  const header = ["path", "start_s", "end_s", "time_s", "speech", "emotion", "probability", "abstain"];
  const names = [...header, ...timeline.labels.map((label) => `probability_${label}`), "voiced_start_s", "voiced_end_s"];
  const row = (window: Window): (string | number | boolean | null | undefined)[] => [
    timeline.path,
    window.start_s,
    window.end_s,
    window.time_s,
    window.speech,
    window.emotion,
    window.probability,
    window.abstain,
    ...timeline.labels.map((label) => window.probabilities[label]),
    window.voiced_start_s,
    window.voiced_end_s,
  ];
  return csv([names, ...timeline.windows.map(row)]);
}

/** SubRip; segments without speech have no subtitle, and an uncertain one reads "sad?". */
export function timelineSrt(timeline: Timeline): string {
  const cues = timeline.segments
    .filter((segment) => segment.emotion !== null && segment.probability !== null)
    .map((segment) => ({
      start: Math.round(1000 * segment.start_s),
      end: Math.round(1000 * segment.end_s),
      text: `${segment.emotion?.split(/\s+/).join(" ")}${segment.abstain ? "?" : ""} ${Math.round(100 * (segment.probability ?? 0))}%`,
    }))
    .filter(({ start, end }) => start < end);
  return cues.map(({ start, end, text }, i) => `${i + 1}\n${clock(start)} --> ${clock(end)}\n${text}\n`).join("\n");
}

/** One row per guess. */
export function guessesCsv(guesses: Guess[]): string {
  const header = ["clip", "truth", "guess", "guess_is_right", "model", "model_probability", "model_is_right", "seconds"];
  const rows = guesses.map((one) => [
    one.clip,
    one.truth,
    one.guess,
    one.guess === one.truth,
    one.model,
    one.modelProbability,
    one.model === one.truth,
    one.seconds,
  ]);
  return csv([header, ...rows]);
}

function csv(rows: (string | number | boolean | null | undefined)[][]): string {
  return rows.map((row) => `${row.map(cell).join(",")}\n`).join("");
}

function cell(value: string | number | boolean | null | undefined): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return value.toFixed(6);
  // A spreadsheet would run a text that begins like a formula; emocatcher.foundation.csv_cells has the same rule.
  const text = String(value).replace(/^(?='*[=+\-@\t\r\n＝＋－＠])/, "'");
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function clock(ms: number): string {
  const two = (value: number): string => String(Math.floor(value)).padStart(2, "0");
  const [hours, minutes, seconds] = [ms / 3_600_000, (ms / 60_000) % 60, (ms / 1000) % 60];
  return `${two(hours)}:${two(minutes)}:${two(seconds)},${String(ms % 1000).padStart(3, "0")}`;
}
