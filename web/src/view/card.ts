/** The card for a whole recording: the answer, the probabilities, and the cautions. */
import { isWithoutSpeech } from "../engine/predictions";
import { percent, strings } from "../strings.en";
import type { Model, Prediction } from "../types";
import { Bars } from "./bars";
import { h } from "./dom";
import { glyph } from "./glyphs";
import { icon } from "./icons";
import { cssColour } from "./shades";

export function predictionCard(prediction: Prediction, model: Model, where: "browser" | "server", tookMs: number): HTMLElement {
  const words = strings.answer;
  const ranked = Object.entries(prediction.probabilities).sort((a, b) => b[1] - a[1]);
  const [[first, p], [second, q] = ["", 0]] = ranked;
  const bars = new Bars(Object.keys(prediction.probabilities), strings.try.probabilities);
  bars.show(prediction.probabilities);
  const most = prediction.attention.reduce((best, one) => (one[1] > best[1] ? one : best), [0, 0]);
  const noSpeech = isWithoutSpeech(prediction);
  const hasVoice = !noSpeech && prediction.warnings.every((caution) => caution.code !== "no-voiced-span");
  return h(
    "section",
    { class: "card answer", "aria-label": strings.try.whole },
    h("h2", { class: "card-name" }, strings.try.whole),
    prediction.abstain
      ? h(
          "div",
          { class: "verdict is-unsure", "data-answer": noSpeech ? words.nobody : words.unsure(first, p, second, q) },
          h("div", { class: "verdict-mark", "--c": "var(--silence)" }, glyph(null, 34)),
          h(
            "div",
            {},
            h("p", { class: "verdict-word" }, noSpeech ? words.nobody : words.notSure),
            h("p", { class: "verdict-more" }, noSpeech ? words.asVoice(first, p) : words.between(first, p, second, q)),
          ),
        )
      : h(
          "div",
          { class: "verdict", "data-answer": words.sure(first, p) },
          h("div", { class: "verdict-mark", "--c": cssColour(first) }, glyph(first, 34)),
          h(
            "div",
            {},
            h("p", { class: "verdict-word" }, first, " ", h("span", { class: "verdict-p" }, percent(p))),
            second ? h("p", { class: "verdict-more" }, words.margin(prediction.margin, second)) : null,
          ),
        ),
    prediction.abstain && !noSpeech ? h("p", { class: "note" }, words.below(model.abstain_below)) : null,
    bars.element,
    h(
      "p",
      { class: "note" },
      `${hasVoice ? words.voice(prediction.voiced_start_s, prediction.voiced_end_s) : words.noVoice}, ${words.most(most[0])}.`,
    ),
    cautions(prediction),
    h(
      "details",
      { class: "checks" },
      h("summary", {}, words.checked),
      where === "server"
        ? h("p", {}, words.checkedThere)
        : [h("p", {}, words.checkedHere), h("p", {}, words.checkedServer)],
    ),
    h("p", { class: "note took" }, `${words.took(tookMs, where)}.`),
  );
}

function cautions(prediction: Prediction): HTMLElement {
  if (prediction.warnings.length === 0) return h("p", { class: "note no-cautions" }, strings.answer.noWarnings);
  return h(
    "div",
    { class: "cautions" },
    h("h3", {}, icon("warning", 18), strings.answer.warnings),
    h("ul", {}, ...prediction.warnings.map((one) => h("li", { "data-code": one.code }, sentence(one.message)))),
  );
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}
