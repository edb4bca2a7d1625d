/** The tracks of the player's time axis: segments by emotion, attention, probabilities. */
import { bounds, isDoubtful } from "../engine/predictions";
import { nameOf, strings } from "../language";
import { clock } from "../numbers";
import type { Prediction, Segment, Window } from "../types";
import { h, replace, s } from "./dom";
import { glyph } from "./glyphs";
import { cssColour } from "./shades";

const WIDE = 1000;
const [TAG_WIDE, TAG_TALL] = [0.21, 0.24]; // shares of the river's width and height that a name needs, at its narrowest

/** An emotion's name on the river: its position as shares of the river, and the height of its band there. */
interface Tag {
  label: string;
  at: number;
  middle: number;
  size: number;
}

/** The segments as a list, so that screen readers can read it. */
export function drawRibbon(track: HTMLElement, segments: Segment[], durationS: number): void {
  replace(
    track,
    ...segments.map((segment) => {
      const { emotion } = segment;
      const words = `${segmentText(segment)}, ${strings.try.between(segment.start_s, segment.end_s)}`;
      return h(
        "li",
        {
          class: `segment${emotion === null ? " is-silent" : isDoubtful(segment) ? " is-doubtful" : ""}`,
          "--c": cssColour(segment.emotion),
          "--from": segment.start_s / durationS,
          "--share": (segment.end_s - segment.start_s) / durationS,
          title: words,
        },
        glyph(emotion, 18),
        h("span", { class: "segment-name", "aria-hidden": "true" }, named(segment)),
        h("span", { class: "only-read" }, words),
      );
    }),
  );
}

/** The name of a segment, with "?" if it is uncertain. */
export function named(segment: Segment): string {
  const { emotion } = segment;
  if (emotion === null) return strings.try.noVoice;
  return isDoubtful(segment) ? strings.try.doubtful(nameOf(emotion)) : nameOf(emotion);
}

/** The emotion of a segment or a window, and its probability. */
export function segmentText({ emotion, probability, abstain }: Segment | Window): string {
  return strings.try.segmentText(emotion && nameOf(emotion), probability, abstain);
}

/** The attention as a step area, scaled to its highest weight. */
export function drawAttention(track: HTMLElement, prediction: Prediction, stepS: number): void {
  const highest = Math.max(...prediction.attention.map(([, weight]) => weight), 1e-9);
  const x = (time: number): string => ((Math.min(time, prediction.duration_s) / prediction.duration_s) * WIDE).toFixed(2);
  const steps = prediction.attention.map(([time, weight]) => {
    const y = (40 - 38 * (weight / highest)).toFixed(2);
    return `L${x(time)} ${y}L${x(time + stepS)} ${y}`;
  });
  const [first] = prediction.attention[0] ?? [0];
  const [last] = prediction.attention.at(-1) ?? [0];
  replace(
    track,
    s(
      "svg",
      { viewBox: `0 0 ${WIDE} 40`, preserveAspectRatio: "none", class: "attention-drawing", "aria-hidden": "true" },
      s("path", { d: `M${x(first)} 40${steps.join("")}L${x(last + stepS)} 40Z` }),
    ),
  );
}

/** The probabilities as stacked bands (the "river"), with gaps where there is no voice. */
export function drawRiver(track: HTMLElement, labels: string[], windows: Window[], durationS: number): void {
  const drawing = s("svg", {
    viewBox: `0 0 ${WIDE} 100`,
    preserveAspectRatio: "none",
    class: "river-drawing",
    "aria-hidden": "true",
  });
  const tags: Tag[] = [];
  const edges = bounds(windows, durationS);
  for (const stretch of voiced(windows)) {
    // Extend the first and last window of a run beyond their centres, to the edges of the run.
    const xs = stretch.map((i) => windows[i].time_s);
    const points = [edges[stretch[0]], ...xs, edges[(stretch.at(-1) ?? 0) + 1]];
    const of = [stretch[0], ...stretch, stretch.at(-1) ?? 0];
    let below = points.map(() => 0);
    for (const label of labels) {
      const heights = of.map((i) => windows[i].probabilities[label] ?? 0);
      const above = below.map((value, i) => value + heights[i]);
      const place = (i: number, value: number): string =>
        `${((points[i] / durationS) * WIDE).toFixed(1)} ${(100 - 100 * value).toFixed(2)}`;
      const up = above.map((value, i) => place(i, value));
      const back = below.map((value, i) => place(i, value)).reverse();
      drawing.append(s("path", { d: `M${[...up, ...back].join("L")}Z`, "--c": cssColour(label), class: "band" }));
      const around = heights.map((value, i) => value + 0.5 * ((heights[i - 1] ?? 0) + (heights[i + 1] ?? 0)));
      const widest = around.indexOf(Math.max(...around));
      if (heights[widest] > 0.24) {
        const at = Math.min(Math.max(points[widest] / durationS, 0.03), 0.97);
        tags.push({ label, at, middle: 1 - (below[widest] + above[widest]) / 2, size: around[widest] });
      }
      below = above;
    }
  }
  const signs = apart(tags).map(({ label, at, middle }) =>
    h("span", { class: "river-tag", "--c": cssColour(label), "--x": at, "--y": middle }, glyph(label, 16), h("span", {}, nameOf(label))),
  );
  replace(track, drawing, h("div", { class: "river-tags", "aria-hidden": "true" }, ...signs));
}

/** Place names by size, skipping those that would overlap: a long recording has more than fit. */
function apart(tags: Tag[]): Tag[] {
  const placed: Tag[] = [];
  for (const tag of tags.sort((a, b) => b.size - a.size)) {
    if (placed.every((one) => Math.abs(one.at - tag.at) > TAG_WIDE || Math.abs(one.middle - tag.middle) > TAG_TALL))
      placed.push(tag);
  }
  return placed;
}

/** The times below the tracks, spaced so that they do not overlap. */
export function drawAxis(axis: HTMLElement, durationS: number): void {
  const step = [0.5, 1, 2, 5, 10, 15, 30, 60, 120].find((one) => durationS / one <= 8) ?? 120;
  const times: number[] = [];
  for (let time = 0; time <= durationS - 0.25 * step; time += step) times.push(time);
  replace(
    axis,
    ...times.map((time) => h("span", { "--x": time / durationS }, step < 1 ? strings.seconds(time) : clock(time).slice(0, -2))),
  );
}

/** Runs of neighbouring windows with speech. */
function voiced(windows: Window[]): number[][] {
  const runs: number[][] = [];
  windows.forEach((window, i) => {
    if (!window.speech) return;
    if (windows[i - 1]?.speech && runs.length > 0) runs[runs.length - 1].push(i);
    else runs.push([i]);
  });
  return runs;
}
