/** The card for a whole recording: the answer, the probabilities, and the cautions. */
import { percent, strings } from "../strings.en";
import type { Model, Prediction } from "../types";
import { Bars } from "./bars";
import { h } from "./dom";
import { glyph } from "./glyphs";
import { icon } from "./icons";
import { cssColour } from "./shades";

export function predictionCard(prediction: Prediction, model: Model, where: "browser" | "server", tookMs: number): HTMLElement {
  const words = strings.answer;
  if (prediction.emotion === null) return noSpeechCard(prediction, where, tookMs);
  const ranked = Object.entries(prediction.probabilities).sort((a, b) => b[1] - a[1]);
  const [[first, p], [second, q] = ["", 0]] = ranked;
  const bars = new Bars(Object.keys(prediction.probabilities), strings.try.probabilities);
  bars.show(prediction.probabilities);
  const most = prediction.attention.reduce((best, one) => (one[1] > best[1] ? one : best), [0, 0]);
  const hasVoice = prediction.warnings.every((caution) => caution.code !== "no-voiced-span");
  return h(
    "section",
    { class: "card answer", "aria-label": strings.try.whole },
    h("h2", { class: "card-name" }, strings.try.whole),
    prediction.abstain
      ? h(
          "div",
          { class: "verdict is-unsure", "data-answer": words.unsure(first, p, second, q) },
          h("div", { class: "verdict-mark", "--c": "var(--silence)" }, glyph(null, 34)),
          h(
            "div",
            {},
            h("p", { class: "verdict-word" }, words.notSure),
            h("p", { class: "verdict-more" }, words.between(first, p, second, q)),
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
            second ? h("p", { class: "verdict-more" }, words.margin(p - q, second)) : null,
          ),
        ),
    prediction.abstain ? h("p", { class: "note" }, words.below(model.abstain_below)) : null,
    bars.element,
    h(
      "p",
      { class: "note" },
      `${hasVoice ? words.voice(prediction.voiced_start_s ?? 0, prediction.voiced_end_s ?? prediction.duration_s) : words.noVoice}, ${words.most(most[0])}.`,
    ),
    cautions(prediction),
    checks(where),
    h("p", { class: "note took" }, `${words.took(tookMs, where)}.`),
  );
}

function noSpeechCard(prediction: Prediction, where: "browser" | "server", tookMs: number): HTMLElement {
  const words = strings.answer;
  return h(
    "section",
    { class: "card answer", "aria-label": strings.try.whole },
    h("h2", { class: "card-name" }, strings.try.whole),
    h(
      "div",
      { class: "verdict is-unsure", "data-answer": words.nobody },
      h("div", { class: "verdict-mark", "--c": "var(--silence)" }, glyph(null, 34)),
      h("p", { class: "verdict-word" }, words.nobody),
    ),
    cautions(prediction),
    checks(where),
    h("p", { class: "note took" }, `${words.took(tookMs, where)}.`),
  );
}

function checks(where: "browser" | "server"): HTMLElement {
  const words = strings.answer;
  return h(
    "details",
    { class: "checks" },
    h("summary", {}, words.checked),
    where === "server" ? h("p", {}, words.checkedThere) : [h("p", {}, words.checkedHere), h("p", {}, words.checkedServer)],
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
