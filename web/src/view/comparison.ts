/** Listener and model on the same clips: scores with intervals, and confusion matrices. */
import { accuracy, type Answer, confusion } from "../stats";
import { nameOf, strings } from "../language";
import { h } from "./dom";
import { glyph } from "./glyphs";

export function comparison(mine: Answer[], model: Answer[], labels: string[]): HTMLElement {
  const words = strings.guess;
  const panels: [string, Answer[]][] = [
    [words.you, mine],
    [words.model, model],
  ];
  return h("div", { class: "comparison" }, ...panels.map(([who, answers]) => panel(who, answers, labels)));
}

function panel(who: string, answers: Answer[], labels: string[]): HTMLElement {
  const words = strings.guess;
  const { share, right, n, low, high } = accuracy(answers);
  return h(
    "section",
    { class: "card", "aria-label": who, "data-who": who },
    h("h3", { class: "card-name" }, who),
    h("p", { class: "share" }, strings.percent(share)),
    h("p", { class: "note" }, `${words.rightOf(right, n)}, ${words.interval(low, high)}`),
    h(
      "div",
      { class: "interval", "--low": low, "--high": high, "--share": share, "aria-hidden": "true" },
      h("span", { class: "interval-range" }),
      h("span", { class: "interval-point" }),
    ),
    matrix(who, answers, labels),
  );
}

function matrix(who: string, answers: Answer[], labels: string[]): HTMLElement {
  const words = strings.guess;
  const counts = confusion(answers, labels);
  return h(
    "div",
    { class: "matrix-scroll", tabindex: 0, role: "region", "aria-label": words.confusionOf(who) },
    h(
      "table",
      { class: "matrix" },
      h("caption", {}, words.confusionOf(who)),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          h("td", {}),
          ...labels.map((label) => h("th", { scope: "col", title: nameOf(label) }, glyph(label, 18), h("span", { class: "only-read" }, nameOf(label)))),
        ),
      ),
      h(
        "tbody",
        {},
        ...labels.map((truth, row) => {
          const total = counts[row].reduce((sum, count) => sum + count, 0);
          return h(
            "tr",
            {},
            h("th", { scope: "row" }, glyph(truth, 16), nameOf(truth)),
            ...labels.map((answered, column) => {
              const n = counts[row][column];
              const title = words.confusionCell(n, nameOf(truth), nameOf(answered));
              const kind = n === 0 ? "is-none" : row === column ? "is-right" : "is-wrong";
              return h("td", { class: kind, "--share": total ? n / total : 0, title }, n === 0 ? "·" : strings.number(n));
            }),
          );
        }),
      ),
    ),
  );
}
