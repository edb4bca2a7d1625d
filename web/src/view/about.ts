/** The view "About the model": facts, scores, calibration, and what the model must not be used for. */
import { nameOf, strings } from "../language";
import type { Model } from "../types";
import { type Child, h, replace, s } from "./dom";
import { glyph } from "./glyphs";
import { markdown, section } from "./markdown";
import { cssColour } from "./shades";
import type { State, View } from "./state";

interface Bin {
  confidence: number;
  accuracy: number;
  n: number;
}

export class AboutView implements View {
  readonly element: HTMLElement;
  private readonly place = h("div", { class: "about-grid" });

  constructor(private readonly state: State) {
    this.element = h(
      "section",
      { class: "view about", "aria-labelledby": "about-heading" },
      h("div", { class: "hero" }, h("h1", { id: "about-heading" }, strings.about.heading)),
      this.place,
    );
    this.refresh();
  }

  refresh(): void {
    const model = this.state.model;
    const words = strings.about;
    const limits = section(model.card, "Limits");
    replace(
      this.place,
      card(words.mustNot, words.mustNotText && h("p", {}, words.mustNotText), h("div", { lang: "en" }, ...markdown(limits))),
      card(words.factsName, facts(model)),
      card(words.labels, emotions(model)),
      scores(model),
      calibration(model),
      card(words.privacy, h("p", {}, words.privacyText)),
      h("details", { class: "card whole-card" }, h("summary", {}, words.card), h("div", { class: "prose", lang: "en" }, ...markdown(model.card))),
    );
    this.place.firstElementChild?.classList.add("must-not");
  }
}

function card(title: string, ...body: Child[]): HTMLElement {
  return h("section", { class: "card" }, h("h2", { class: "card-name" }, title), ...body);
}

function facts(model: Model): HTMLElement {
  const names = strings.about.facts;
  const { training } = model;
  const shared = training.speakers_shared;
  const rows: [string, string, string?][] = [
    [names.name, `${model.name} ${model.version}`],
    [names.parameters, strings.number(model.n_parameters)],
    [names.rate, `${strings.number(model.sample_rate_hz)} Hz`],
    [names.corpus, ...inEnglish(training.corpus)],
    [names.protocol, ...inEnglish(training.protocol)],
    [names.shared, shared === true ? strings.about.yes : shared === false ? strings.about.no : strings.about.unknown],
    [names.licence, ...inEnglish(training.licence)],
    [names.temperature, strings.number(model.temperature, 3)],
    [names.threshold, strings.percent(model.abstain_below)],
  ];
  return h("dl", { class: "facts" }, ...rows.map(([name, value, lang]) => h("div", {}, h("dt", {}, name), h("dd", { lang }, value))));
}

/** A text of the model's description, and its language. */
function inEnglish(text: unknown): [string, string?] {
  return text === undefined || text === null ? [strings.about.unknown] : [String(text), "en"];
}

function emotions(model: Model): HTMLElement {
  return h(
    "ul",
    { class: "emotions" },
    ...model.labels.map((label) => h("li", { "--c": cssColour(label) }, glyph(label, 26), nameOf(label))),
  );
}

function scores(model: Model): HTMLElement {
  const known = Object.entries(model.training.scores ?? {});
  const drops = known.filter(([name]) => name.startsWith("drop_"));
  const others = known.filter(([name]) => !name.startsWith("expected_calibration") && !name.startsWith("drop_"));
  const note = typeof model.training.note === "string" ? model.training.note : "";
  return card(
    strings.about.scores,
    list(others),
    ...(drops.length ? [h("h3", { class: "card-name" }, strings.about.falls), list(drops)] : []),
    h("p", { class: "note", lang: "en" }, note),
  );
}

function list(scores: [string, number][]): HTMLElement {
  return h(
    "ul",
    { class: "scores" },
    ...scores.map(([name, value]) =>
      h(
        "li",
        {},
        scoreName(name),
        h("strong", {}, strings.percent(value)),
        h("span", { class: "bar-track", "aria-hidden": "true" }, h("span", { class: "score-fill", "--share": value })),
      ),
    ),
  );
}

/** The name of a score, such as "accuracy_on_crema-d". */
function scoreName(name: string): HTMLElement {
  const [score, corpus] = name.split("_on_");
  const known = strings.about.scoreNames[score];
  if (known === undefined) return h("span", { lang: "en" }, name.replaceAll("_", " "));
  return h("span", {}, corpus === undefined ? known : strings.about.scoreOn(known, corpus));
}

/** A reliability plot if the model has bins; otherwise the calibration error before and after. */
function calibration(model: Model): HTMLElement | null {
  const words = strings.about;
  const { expected_calibration_error_before: before, expected_calibration_error: after } = model.training.scores ?? {};
  const bins = model.training.calibration as Bin[] | undefined;
  if (before === undefined || after === undefined) return null;
  const most = Math.max(before, after, 0.01);
  return card(
    words.calibration,
    Array.isArray(bins) && bins.length > 0
      ? reliability(bins)
      : h(
          "ul",
          { class: "scores" },
          ...[
            [words.calibrationBefore, before],
            [words.calibrationAfter, after],
          ].map(([name, value]) =>
            h(
              "li",
              {},
              h("span", {}, `${words.calibrationAxis}, ${name}`),
              h("strong", {}, strings.number(Number(value), 3)),
              h("span", { class: "bar-track", "aria-hidden": "true" }, h("span", { class: "score-fill", "--share": Number(value) / most })),
            ),
          ),
        ),
    h("p", { class: "note" }, words.calibrationText(before, after)),
  );
}

function reliability(bins: Bin[]): SVGSVGElement {
  return s(
    "svg",
    { viewBox: "-8 -4 116 116", class: "reliability", role: "img", "aria-label": strings.about.calibrationPlot },
    s("path", { d: "M0 100L100 0M0 0V100H100", class: "reliability-frame" }),
    ...bins
      .filter(({ n }) => n > 0)
      .map(({ confidence, accuracy }) => s("circle", { cx: 100 * confidence, cy: 100 - 100 * accuracy, r: 2 })),
  );
}
