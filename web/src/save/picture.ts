/** The result for one recording as one self-contained SVG, for a slide or a paper. */
import { outline } from "../audio/outline";
import { bounds, isDoubtful } from "../engine/predictions";
import { nameOf, strings } from "../language";
import { clock } from "../numbers";
import type { Prediction, Recording, Timeline } from "../types";
import { headline } from "../view/card";
import { GLYPHS } from "../view/glyphs";
import { colour, type Theme } from "../view/shades";
import { named } from "../view/tracks";

export const PICTURE_SIZE = [1200, 640] as const;
const [WIDTH, HEIGHT] = PICTURE_SIZE;
const LEFT = 40;
const RIGHT = 830; // end of the tracks; the bars are to the right
const INK: Record<Theme, { paper: string; ink: string; faint: string; line: string }> = {
  light: { paper: "#ffffff", ink: "#1d1c1a", faint: "#625d55", line: "#e3dfd7" },
  dark: { paper: "#191a1c", ink: "#efece6", faint: "#aba69d", line: "#34373b" },
};
const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'Apple SD Gothic Neo', 'Malgun Gothic', 'Noto Sans CJK KR', sans-serif";
const N_BARS = 198;

export function drawPicture(recording: Recording, prediction: Prediction, timeline: Timeline, theme: Theme): string {
  const { paper, ink, faint, line } = INK[theme];
  const durationS = recording.durationS;
  const x = (timeS: number): number => LEFT + (timeS / durationS) * (RIGHT - LEFT);
  const text = (at: number, y: number, words: string, more = ""): string =>
    `<text x="${at.toFixed(1)}" y="${y}" fill="${ink}" ${more}>${escape(words)}</text>`;
  const small = (at: number, y: number, words: string): string => text(at, y, words, `font-size="13" style="fill:${faint}"`);
  const parts = [
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="${paper}"/>`,
    text(LEFT, 56, headline(prediction), `font-size="30" font-weight="600"`),
    small(LEFT, 84, `${recording.name} · ${clock(durationS)} · ${prediction.model} ${prediction.model_version}`),
  ];
  for (const segment of timeline.segments) {
    const [from, wide] = [x(segment.start_s), x(segment.end_s) - x(segment.start_s) - 2];
    const shade = colour(segment.emotion, theme);
    parts.push(`<rect x="${from.toFixed(1)}" y="112" width="${Math.max(wide, 1).toFixed(1)}" height="5" rx="2.5" fill="${shade}"${isDoubtful(segment) ? ' fill-opacity="0.4"' : ""}/>`);
    const name = named(segment);
    if (wide > widthOf(name) + 26) {
      parts.push(mark(segment.emotion, from, 122, 18, ink), text(from + 24, 136, name, `font-size="14"`));
    }
  }
  parts.push(waveform(recording, timeline, theme), attention(prediction, x, faint), river(timeline, x, theme));
  parts.push(`<path d="M${LEFT} 580H${RIGHT}" stroke="${line}"/>`);
  const step = [0.5, 1, 2, 5, 10, 15, 30, 60, 120].find((one) => durationS / one <= 8) ?? 120;
  for (let time = 0; time <= durationS; time += step) parts.push(small(x(time), 600, clock(time)));
  parts.push(...bars(prediction, theme, text));
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="${FONT}" role="img"><title>${escape(headline(prediction))}</title>${parts.join("\n")}</svg>\n`;
}

function waveform(recording: Recording, timeline: Timeline, theme: Theme): string {
  const peaks = outline(recording.mono, N_BARS);
  const edges = bounds(timeline.windows, recording.durationS);
  const highest = Math.max(recording.peak, 0.02);
  let at = 0;
  return [...peaks]
    .map((peak, i) => {
      const timeS = (i / N_BARS) * recording.durationS;
      while (at < timeline.windows.length - 1 && timeS >= edges[at + 1]) at++;
      const tall = Math.max((Math.abs(peak) / highest) * 150, 3);
      const place = LEFT + (i / N_BARS) * (RIGHT - LEFT);
      const current = timeline.windows[at];
      const isVoice = current && timeS >= current.voiced_start_s && timeS <= current.voiced_end_s;
      const shade = colour(isVoice ? current.emotion : null, theme);
      return `<rect x="${place.toFixed(1)}" y="${(235 - tall / 2).toFixed(1)}" width="3" height="${tall.toFixed(1)}" rx="1.5" fill="${shade}"/>`;
    })
    .join("");
}

function attention(prediction: Prediction, x: (timeS: number) => number, shade: string): string {
  const highest = Math.max(...prediction.attention.map(([, weight]) => weight), 1e-9);
  const points = prediction.attention.map(([time, weight]) => `L${x(time).toFixed(1)} ${(370 - (40 * weight) / highest).toFixed(1)}`);
  if (points.length === 0) return "";
  const [first, last] = [prediction.attention[0][0], prediction.attention.at(-1)?.[0] ?? 0];
  return `<path d="M${x(first).toFixed(1)} 370${points.join("")}L${x(last).toFixed(1)} 370Z" fill="${shade}" fill-opacity="0.55"/>`;
}

function river(timeline: Timeline, x: (timeS: number) => number, theme: Theme): string {
  const edges = bounds(timeline.windows, timeline.duration_s);
  return timeline.windows
    .map((window, i) => {
      let top = 390;
      return timeline.labels
        .map((label) => {
          const tall = 180 * (window.probabilities[label] ?? 0);
          top += tall;
          const wide = x(edges[i + 1]) - x(edges[i]);
          return `<rect x="${x(edges[i]).toFixed(1)}" y="${(top - tall).toFixed(1)}" width="${(wide + 0.4).toFixed(1)}" height="${tall.toFixed(1)}" fill="${colour(label, theme)}"/>`;
        })
        .join("");
    })
    .join("");
}

function bars(
  prediction: Prediction,
  theme: Theme,
  text: (x: number, y: number, words: string, more?: string) => string,
): string[] {
  const shown = Object.keys(prediction.shares).length > 0 ? prediction.shares : prediction.probabilities;
  const ranked = Object.entries(shown).sort((a, b) => b[1] - a[1]);
  return ranked.map(([label, value], i) => {
    const y = 130 + i * 56;
    return [
      mark(label, 875, y - 16, 22, INK[theme].ink),
      text(906, y, nameOf(label), `font-size="16"`),
      text(1160, y, strings.percent(value), `font-size="16" text-anchor="end"`),
      `<rect x="906" y="${y + 9}" width="254" height="6" rx="3" fill="${INK[theme].line}"/>`,
      `<rect x="906" y="${y + 9}" width="${Math.max(254 * value, 2).toFixed(1)}" height="6" rx="3" fill="${colour(label, theme)}"/>`,
    ].join("");
  });
}

function mark(label: string | null, x: number, y: number, size: number, ink: string): string {
  const drawn = label === null ? "M5 12h.1M12 12h.1M19 12h.1" : GLYPHS[label];
  if (!drawn) return "";
  return `<g transform="translate(${x.toFixed(1)} ${y}) scale(${size / 24})"><path d="${drawn}" fill="none" stroke="${ink}" stroke-width="2.6" stroke-linecap="round" stroke-linejoin="round"/></g>`;
}

/** About how wide a text of 14 px is: a Korean syllable is as wide as it is high. */
function widthOf(text: string): number {
  return [...text].reduce((sum, letter) => sum + (letter > "\u1100" ? 14 : 8), 0);
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
