/** A symbol per emotion, drawn as a mouth on a 24 × 24 grid, so that colour is never the only cue. */
import { s } from "./dom";
import { cssColour } from "./shades";

export const GLYPHS: Record<string, string> = {
  neutral: "M5 12h14",
  calm: "M4.5 12.5c2.5-3 5-3 7.5 0s5 3 7.5 0",
  happy: "M4.5 9.5c2 7.5 13 7.5 15 0",
  sad: "M4.5 15.5c2-7.5 13-7.5 15 0",
  angry: "M4.5 15l3.8-6 3.7 6 3.7-6 3.8 6",
  fearful: "M4 12q1.6-4 3.2 0t3.2 0 3.2 0 3.2 0 3.2 0",
  disgust: "M4.5 10h8.5c4 0 6 2 6.5 6",
  surprised: "M12 6.5a5.5 5.5 0 1 0 .01 0z",
};

/** The symbol of a label; its first letter if it has none; three dots for silence. */
export function glyph(label: string | null, size = 20): SVGSVGElement {
  const drawn =
    label === null
      ? [6, 12, 18].map((x) => s("circle", { cx: x, cy: 12, r: 1.6, fill: "currentColor" }))
      : label in GLYPHS
        ? [s("path", { d: GLYPHS[label], fill: "none", stroke: "currentColor", "stroke-width": 2.6, "stroke-linecap": "round", "stroke-linejoin": "round" })]
        : [s("text", { x: 12, y: 17, "text-anchor": "middle", "font-size": 15, "font-weight": 700, fill: "currentColor" }, label.charAt(0).toUpperCase())];
  return s(
    "svg",
    { class: "glyph", viewBox: "0 0 24 24", width: size, height: size, "aria-hidden": "true", "--c": cssColour(label) },
    ...drawn,
  );
}
