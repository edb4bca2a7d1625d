/**
 * The colours of the emotions, each darkened or lightened only until its contrast with the page is 3:1, the minimum of
 * WCAG 2.2 (1.4.11) for graphics. Every colour comes with a label or glyph, so none carries meaning alone.
 */
import { facts } from "../facts";

export type Theme = "light" | "dark";
export const PAPER: Record<Theme, string> = { light: "#ffffff", dark: "#191a1c" };
const LEAST = 3.1;

let shades: Record<Theme, Map<string, string>> = { light: new Map(), dark: new Map() };

/** Give every label its colour, as `emocatcher.foundation.labels.colours` does, and set the CSS variables. */
export function setLabels(labels: string[]): void {
  const known = facts.colours as Record<string, string>;
  let nSpare = 0;
  const base = labels.map((label) => known[label] ?? facts.spare_colours[nSpare++ % facts.spare_colours.length]);
  shades = { light: new Map(), dark: new Map() };
  labels.forEach((label, i) => {
    const [light, dark] = [visible(base[i], PAPER.light), visible(base[i], PAPER.dark)];
    shades.light.set(label, light);
    shades.dark.set(label, dark);
    document.documentElement.style.setProperty(`--emotion-${i}`, `light-dark(${light}, ${dark})`);
  });
  order = labels;
}

let order: string[] = [];

/** The colour as a CSS variable, which follows the theme. */
export function cssColour(label: string | null): string {
  const i = label === null ? -1 : order.indexOf(label);
  return i < 0 ? "var(--silence)" : `var(--emotion-${i})`;
}

/** The colour as a value, for a canvas or a file. */
export function colour(label: string | null, theme: Theme): string {
  return (label !== null && shades[theme].get(label)) || (theme === "light" ? "#b9b5ad" : "#55585c");
}

export function theme(): Theme {
  const chosen = document.documentElement.dataset.theme;
  if (chosen === "light" || chosen === "dark") return chosen;
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

export function visible(hex: string, paper: string): string {
  const towards = luminance(paper) > 0.5 ? 0 : 255;
  for (let share = 0; share <= 1; share += 0.02) {
    const mixed = mix(hex, towards, share);
    if (contrast(mixed, paper) >= LEAST) return mixed;
  }
  return mix(hex, towards, 1);
}

export function contrast(one: string, other: string): number {
  const [high, low] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (high + 0.05) / (low + 0.05);
}

function mix(hex: string, towards: number, share: number): string {
  const parts = rgb(hex).map((part) => Math.round(part + (towards - part) * share));
  return `#${parts.map((part) => part.toString(16).padStart(2, "0")).join("")}`;
}

function luminance(hex: string): number {
  const [r, g, b] = rgb(hex).map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function rgb(hex: string): number[] {
  return [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16));
}
