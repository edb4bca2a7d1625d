/** The icons of the page. */
import { s } from "./dom";

const PATHS = {
  play: "M8 5.5v13l10.5-6.5z",
  pause: "M8.5 5.5v13M15.5 5.5v13",
  microphone: "M12 3.5a3 3 0 0 0-3 3v5a3 3 0 0 0 6 0v-5a3 3 0 0 0-3-3zM5.5 11a6.5 6.5 0 0 0 13 0M12 17.5v3",
  stop: "M7 7h10v10H7z",
  file: "M12 15.5V4.5M7.5 9L12 4.5 16.5 9M4.5 15.5v4h15v-4",
  save: "M12 4.5v11M7.5 11l4.5 4.5 4.5-4.5M4.5 15.5v4h15v-4",
  lock: "M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3",
  sun: "M12 8a4 4 0 1 0 .01 0zM12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M5.3 18.7l1.4-1.4M17.3 6.7l1.4-1.4",
  moon: "M19.5 14.2A8 8 0 1 1 9.8 4.5a6.4 6.4 0 0 0 9.7 9.7z",
  warning: "M12 4l9 15.5H3zM12 10v4.5M12 17v.2",
  again: "M19 12a7 7 0 1 1-2-5M17.5 3v4.2h-4.2",
  check: "M5 12.5l4.5 4.5L19 7.5",
  cross: "M6.5 6.5l11 11M17.5 6.5l-11 11",
  next: "M9 5.5l6.5 6.5L9 18.5",
};

export function icon(name: keyof typeof PATHS, size = 20): SVGSVGElement {
  const solid = name === "play" || name === "stop";
  return s(
    "svg",
    { class: "icon", viewBox: "0 0 24 24", width: size, height: size, "aria-hidden": "true" },
    s("path", {
      d: PATHS[name],
      fill: solid ? "currentColor" : "none",
      stroke: "currentColor",
      "stroke-width": name === "pause" ? 3.5 : 1.8,
      "stroke-linecap": "round",
      "stroke-linejoin": "round",
    }),
  );
}
