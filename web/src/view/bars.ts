/** One bar per emotion. Created once and updated, because they change many times a second during playback. */
import { nameOf, strings } from "../language";
import { h } from "./dom";
import { glyph } from "./glyphs";
import { cssColour } from "./shades";

export class Bars {
  readonly element: HTMLElement;
  private readonly rows = new Map<string, { row: HTMLElement; bar: HTMLElement; value: HTMLElement }>();

  /** @param live whether they change during playback: then their order is fixed, and screen readers ignore them. */
  constructor(
    private readonly labels: string[],
    private readonly name: string,
    private readonly live = false,
  ) {
    this.element = h("ul", { class: "bars", "aria-label": name });
    for (const label of labels) {
      const bar = h("span", { class: "bar-fill" });
      const value = h("span", { class: "bar-value" });
      const row = h(
        "li",
        { class: "bar-row", "--c": cssColour(label) },
        glyph(label, 22),
        h("span", { class: "bar-label" }, nameOf(label)),
        h("span", { class: "bar-track", "aria-hidden": "true" }, bar),
        value,
      );
      this.rows.set(label, { row, bar, value });
      this.element.append(row);
    }
  }

  /** Show probabilities; null clears the bars. */
  show(probabilities: Record<string, number> | null): void {
    const known = probabilities && Object.keys(probabilities).length > 0 ? probabilities : null;
    const best = known && Math.max(...Object.values(known));
    for (const label of this.labels) {
      const parts = this.rows.get(label);
      if (!parts) continue;
      const value = known ? (known[label] ?? 0) : 0;
      parts.bar.style.transform = `scaleX(${value})`;
      parts.value.textContent = known ? strings.percent(value) : "–";
      parts.row.classList.toggle("is-best", known !== null && value === best);
    }
    this.element.classList.toggle("is-empty", known === null);
    if (this.live || !known) return;
    // The most probable first, unless the bars are live.
    const order = [...this.labels].sort((a, b) => (known[b] ?? 0) - (known[a] ?? 0));
    for (const label of order) this.element.append(this.rows.get(label)?.row ?? "");
    this.element.setAttribute("aria-label", this.name);
  }
}
