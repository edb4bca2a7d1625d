/** Buttons that save the results. */
import { download, stem, toPng } from "../save/download";
import { predictionJson, timelineCsv, timelineJson, timelineSrt } from "../save/formats";
import { drawPicture, PICTURE_SIZE } from "../save/picture";
import { strings } from "../language";
import type { Prediction, Recording, Timeline } from "../types";
import { h } from "./dom";
import { icon } from "./icons";
import { announce } from "./notice";
import { theme } from "./shades";

export function saveButtons(recording: Recording, prediction: Prediction, timeline: Timeline): HTMLElement {
  const words = strings.save;
  const base = stem(recording.name);
  const picture = (): string => drawPicture(recording, prediction, timeline, theme());
  const kinds: [string, string, () => [Blob | string, string] | Promise<[Blob | string, string]>][] = [
    [words.json, `${base}.json`, () => [predictionJson(prediction), "application/json"]],
    [words.timelineJson, `${base}-timeline.json`, () => [timelineJson(timeline), "application/json"]],
    [words.csv, `${base}.csv`, () => [timelineCsv(timeline), "text/csv"]],
    [words.srt, `${base}.srt`, () => [timelineSrt(timeline), "application/x-subrip"]],
    [words.svg, `${base}.svg`, () => [picture(), "image/svg+xml"]],
    [words.png, `${base}.png`, async () => [await toPng(picture(), ...PICTURE_SIZE), "image/png"]],
  ];
  return h(
    "div",
    { class: "saving", role: "group", "aria-label": words.label },
    h("span", { class: "saving-label", "aria-hidden": "true" }, icon("save", 18), words.label),
    ...kinds.map(([label, name, make]) =>
      h(
        "button",
        {
          type: "button",
          class: "chip",
          "data-save": name,
          onclick: async () => {
            const [content, type] = await make();
            download(name, content, type);
            announce(words.done(name));
          },
        },
        label,
      ),
    ),
  );
}
