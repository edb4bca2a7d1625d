/** The card for a whole recording: the answer, the probabilities, and the cautions. */
import { nameOf, strings } from "../language";
import type { Model, Prediction } from "../types";
import { Bars } from "./bars";
import { h } from "./dom";
import { glyph } from "./glyphs";
import { icon } from "./icons";
import { cssColour } from "./shades";

const N_SHARES = 3; // in words; more are hard to read

/** @param spokenS of the recording, by its windows; for a long recording */
export function predictionCard(
  prediction: Prediction,
  model: Model,
  where: "browser" | "server",
  tookMs: number,
  spokenS: number,
): HTMLElement {
  return h(
    "section",
    { class: "card answer", "aria-label": strings.try.whole },
    h("h2", { class: "card-name" }, strings.try.whole),
    ...answer(prediction, model, spokenS),
    dimensionList(prediction),
    prediction.settled_on > 0 ? h("p", { class: "note settled-on" }, strings.settle.answer(prediction.settled_on)) : null,
    cautions(prediction, where),
    checks(where),
    h("p", { class: "note took" }, `${strings.answer.took(tookMs, where)}.`),
  );
}

function answer(prediction: Prediction, model: Model, spokenS: number): (Node | null)[] {
  const words = strings.answer;
  const { emotion } = prediction;
  if (emotion === null) return [verdict(headline(prediction), null, words.nobody)];
  const isLong = Object.keys(prediction.shares).length > 0;
  const shown = isLong ? prediction.shares : prediction.probabilities;
  const [[first, p], [second, q] = ["", 0]] = ranked(shown);
  const bars = new Bars(Object.keys(shown), isLong ? words.shares : strings.try.probabilities);
  bars.show(shown);
  const voice = prediction.warnings.some((caution) => caution.code === "no-voiced-span")
    ? words.noVoice
    : words.voice(prediction.voiced_start_s ?? 0, prediction.voiced_end_s ?? prediction.duration_s);
  if (isLong)
    return [
      verdict(headline(prediction), first, nameOf(first), p, words.ofSpeech(sharesInWords(prediction.shares, 1), spokenS)),
      h("p", { class: "note shares-note" }, words.sharesText),
      bars.element,
      h("p", { class: "note" }, `${voice}.`),
    ];
  const most = prediction.attention.reduce((best, one) => (one[1] > best[1] ? one : best), [0, 0]);
  return [
    prediction.abstain
      ? verdict(headline(prediction), null, words.notSure, undefined, words.between(nameOf(first), p, nameOf(second), q))
      : verdict(headline(prediction), first, nameOf(first), p, second ? words.margin(p - q, nameOf(second)) : ""),
    prediction.abstain ? h("p", { class: "note" }, words.below(model.abstain_below)) : null,
    bars.element,
    h("p", { class: "note" }, `${voice}, ${words.most(most[0])}.`),
  ];
}

/** The value of each dimension, and its place in the range. */
export function dimensionList({ dimensions }: Prediction): HTMLElement | null {
  const all = Object.entries(dimensions);
  if (all.length === 0) return null;
  return h(
    "ul",
    { class: "dimensions", "aria-label": strings.answer.dimensions },
    ...all.map(([name, { value, low, high }]) =>
      h(
        "li",
        { "data-dimension": name },
        h("span", { class: "dimension-name" }, nameOf(name)),
        h("span", { class: "dimension-scale", "aria-hidden": "true", "--at": `${((value - low) / (high - low)) * 100}%` }),
        h("span", { class: "dimension-value" }, strings.answer.rating(value, low, high)),
      ),
    ),
  );
}

/** The answer in one line; for a long recording, the shares of its speech. */
export function headline(prediction: Prediction): string {
  const words = strings.answer;
  const { emotion, probabilities, shares } = prediction;
  if (emotion === null) return words.nobody;
  if (Object.keys(shares).length > 0) return sharesInWords(shares);
  const [[first, p], [second, q] = ["", 0]] = ranked(probabilities);
  return prediction.abstain ? words.unsure(nameOf(first), p, nameOf(second), q) : words.sure(nameOf(first), p);
}

/** The largest shares from `from` on, as on the command line: "angry 48%, sad 30%, neutral 18%, others 4%". */
export function sharesInWords(shares: Record<string, number>, from = 0): string {
  const all = ranked(shares);
  const named = all.slice(from, N_SHARES).flatMap(([label, share]) => (share > 0 ? [strings.answer.sure(nameOf(label), share)] : []));
  const others = all.slice(N_SHARES).reduce((sum, [, share]) => sum + share, 0);
  return [...named, ...(others > 0 ? [strings.answer.others(others)] : [])].join(", ");
}

function ranked(values: Record<string, number>): [string, number][] {
  return Object.entries(values).sort((a, b) => b[1] - a[1]);
}

/** @param label of the emotion; null if there is none, or no sure one */
function verdict(text: string, label: string | null, word: string, share?: number, ...more: (Node | string)[]): HTMLElement {
  return h(
    "div",
    { class: `verdict${label === null ? " is-unsure" : ""}`, "data-answer": text },
    h("div", { class: "verdict-mark", "--c": cssColour(label) }, glyph(label, 34)),
    h(
      "div",
      {},
      h("p", { class: "verdict-word" }, word, share === undefined ? null : [" ", h("span", { class: "verdict-p" }, strings.percent(share))]),
      more.length ? h("p", { class: "verdict-more" }, ...more) : null,
    ),
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

function cautions(prediction: Prediction, where: "browser" | "server"): HTMLElement {
  if (prediction.warnings.length === 0) return h("p", { class: "note no-cautions" }, strings.answer.noWarnings);
  return h(
    "div",
    { class: "cautions" },
    h("h3", {}, icon("warning", 18), strings.answer.warnings),
    h("ul", {}, ...prediction.warnings.map((one) => h("li", { "data-code": one.code, lang: where === "server" && "en" }, sentence(one.message)))),
  );
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}
