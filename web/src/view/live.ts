/** The view "Live": the last three seconds, updated every half second, and a chart of the last minute. */
import { type Microphone, openMicrophone } from "../audio/microphone";
import type { Live } from "../engine/engine";
import { isDoubtful } from "../engine/predictions";
import { nameOf, strings } from "../language";
import { clock } from "../numbers";
import type { Window } from "../types";
import { Bars } from "./bars";
import { h, replace, s } from "./dom";
import { glyph } from "./glyphs";
import { icon } from "./icons";
import { Level } from "./level";
import { announce, Notice } from "./notice";
import { cssColour } from "./shades";
import type { State, View } from "./state";

const CHART_S = 60;
const SPOKEN_EACH_MS = 3000;
const SIGNED = 4; // windows

export class LiveView implements View {
  readonly element: HTMLElement;
  private readonly notice = new Notice();
  private readonly button: HTMLButtonElement;
  private readonly level = new Level();
  private readonly word = h("p", { class: "live-word" });
  private readonly more = h("p", { class: "live-more" });
  private readonly mark = h("div", { class: "live-mark" });
  private readonly chart = h("div", { class: "live-chart", role: "img" });
  private readonly barsPlace = h("div", {});
  private readonly adjustingPlace = h("div", {});
  private bars: Bars | null = null;
  private microphone: Microphone | null = null;
  private live: Live | null = null;
  private starting = false;
  private wanted = false; // false if the view was left before the microphone was open
  private windows: Window[] = [];
  private spokenAt = 0;
  private spoken = "";

  constructor(private readonly state: State) {
    const words = strings.live;
    this.button = h("button", { type: "button", class: "button is-first is-large", onclick: () => void this.toggle() });
    this.element = h(
      "section",
      { class: "view live", "aria-labelledby": "live-heading" },
      h("div", { class: "hero" }, h("h1", { id: "live-heading" }, words.heading), h("p", { class: "lead" }, words.lead)),
      this.adjustingPlace,
      this.notice.element,
      h(
        "div",
        { class: "live-now card" },
        h("div", { class: "live-state" }, this.mark, h("div", {}, this.word, this.more)),
        h("div", { class: "live-control" }, this.level.element, this.button),
      ),
      h(
        "div",
        { class: "live-panels" },
        h(
          "section",
          { class: "card", "aria-label": words.chart },
          h("h2", { class: "card-name" }, words.chart),
          this.chart,
          h(
            "div",
            { class: "live-axis", "aria-hidden": "true" },
            ...[60, 45, 30, 15, 0].map((ago) => h("span", {}, words.ago(ago))),
          ),
        ),
        h("section", { class: "card", "aria-label": words.now }, h("h2", { class: "card-name" }, words.now), this.barsPlace),
      ),
    );
    this.reset();
    this.idle(words.idle);
  }

  show(): void {
    this.adjustingPlace.append(this.state.adjusting.element);
  }

  hide(): void {
    void this.stop();
    this.state.adjusting.hide();
  }

  adjusted(): void {
    this.showBars();
  }

  refresh(): void {
    if (!this.microphone) this.reset();
  }

  private async toggle(): Promise<void> {
    if (this.microphone) return this.stop();
    if (this.starting) return;
    this.starting = this.wanted = true;
    this.notice.clear();
    try {
      this.reset();
      const early: Float32Array[] = [];
      const microphone = await openMicrophone((block) => {
        this.level.push(block);
        if (this.live) this.live.push(block);
        else early.push(block);
      });
      if (!this.wanted) return await microphone.stop();
      this.microphone = microphone;
      this.live = this.state.engine.live(
        microphone.rate,
        (window) => this.showWindow(window),
        (error) => {
          this.notice.show(error);
          void this.stop();
        },
      );
      for (const block of early) this.live.push(block);
      void this.level.start(microphone.stream);
      this.idle(strings.live.waiting);
      announce(strings.live.waiting);
    } catch (error) {
      this.notice.show(error);
      await this.stop();
    } finally {
      this.starting = false;
      this.label();
    }
  }

  private async stop(): Promise<void> {
    const { microphone, live } = this;
    this.microphone = this.live = null;
    this.wanted = false;
    live?.stop();
    this.level.stop();
    this.label();
    if (microphone) {
      const endS = this.windows.at(-1)?.end_s ?? 0;
      this.idle(strings.live.stopped(endS));
      announce(strings.live.stopped(endS));
      await microphone.stop();
    }
  }

  private showWindow(window: Window): void {
    if (!this.microphone) return;
    this.windows.push(window);
    while (this.windows[0].end_s < window.end_s - CHART_S - 1) this.windows.shift();
    const unsure = isDoubtful(window);
    const emotion = unsure ? strings.answer.notSure : window.emotion === null ? strings.live.quiet : nameOf(window.emotion);
    const [[first, p], [second, q]] = likeliest(window);
    const answer = unsure ? strings.answer.unsure(first, p, second, q) : window.emotion === null ? emotion : strings.live.answer(first, p);
    this.word.classList.remove("is-idle");
    replace(this.mark, glyph(unsure ? null : window.emotion, 56));
    this.mark.style.setProperty("--c", cssColour(unsure ? null : window.emotion));
    replace(
      this.word,
      emotion,
      !unsure && window.probability !== null && h("span", { class: "verdict-p" }, ` ${strings.percent(window.probability)}`),
    );
    this.more.textContent = unsure ? strings.answer.between(first, p, second, q) : `${clock(window.start_s)} – ${clock(window.end_s)}`;
    this.bars?.show(window.probabilities);
    this.draw();
    this.chart.setAttribute("aria-label", strings.live.chartText(answer));
    this.element.dataset.windows = String(Number(this.element.dataset.windows ?? 0) + 1);
    if (emotion !== this.spoken && performance.now() - this.spokenAt > SPOKEN_EACH_MS) {
      announce(emotion);
      this.spoken = emotion;
      this.spokenAt = performance.now();
    }
  }

  /** The last minute, newest at the right edge; each window is half a second wide. */
  private draw(): void {
    const now = this.windows.at(-1)?.end_s ?? 0;
    const drawing = s("svg", { viewBox: `0 0 ${CHART_S * 10} 100`, preserveAspectRatio: "none", "shape-rendering": "crispEdges", "aria-hidden": "true" });
    const { labels } = this.state.engine.model;
    const signs: HTMLElement[] = [];
    this.windows.forEach((window, i) => {
      const fromS = this.windows[i - 1]?.end_s ?? window.end_s - 0.5;
      const left = (CHART_S - (now - fromS)) * 10;
      const wide = (window.end_s - fromS) * 10 + 0.3;
      if (left + wide < 0) return;
      let top = 0;
      if (!window.speech) drawing.append(s("rect", { x: left, y: 98.5, width: wide, height: 1.5, class: "band", "--c": cssColour(null) }));
      for (const label of window.speech ? labels : []) {
        const tall = 100 * (window.probabilities[label] ?? 0);
        drawing.append(s("rect", { x: left, y: top, width: wide, height: tall, class: "band", "--c": cssColour(label) }));
        top += tall;
      }
      // A symbol in the middle of every run of windows that is wide enough.
      const run = this.runOf(i);
      if (window.emotion !== null && !isDoubtful(window) && run.length >= SIGNED && run.middle === i && left > 0)
        signs.push(h("span", { "--x": left / (CHART_S * 10), "--c": cssColour(window.emotion) }, glyph(window.emotion, 16)));
    });
    replace(this.chart, drawing, h("div", { class: "live-signs", "aria-hidden": "true" }, ...signs));
  }

  private runOf(i: number): { length: number; middle: number } {
    const same = (j: number): boolean => this.windows[j]?.emotion === this.windows[i].emotion && this.windows[j].abstain === this.windows[i].abstain;
    let [first, last] = [i, i];
    while (same(first - 1)) first--;
    while (same(last + 1)) last++;
    return { length: last - first + 1, middle: Math.floor((first + last) / 2) };
  }

  private reset(): void {
    this.windows = [];
    this.spoken = "";
    this.element.dataset.windows = "0";
    this.showBars();
    this.chart.setAttribute("aria-label", strings.live.chart);
    replace(this.chart);
    this.label();
  }

  private showBars(): void {
    this.bars = new Bars(this.state.engine.model.labels, strings.try.probabilities, true);
    this.bars.show(null);
    replace(this.barsPlace, this.bars.element);
  }

  private idle(text: string): void {
    replace(this.mark, glyph(null, 56));
    this.mark.style.setProperty("--c", cssColour(null));
    replace(this.word, text);
    this.more.textContent = "";
    this.word.classList.add("is-idle");
  }

  private label(): void {
    const on = this.microphone !== null;
    replace(this.button, icon(on ? "stop" : "microphone", 20), on ? strings.live.stop : strings.live.start);
    this.button.classList.toggle("is-on", on);
  }
}

/** The two most probable emotions, by name. */
function likeliest({ probabilities }: Window): [string, number][] {
  const ranked = Object.entries(probabilities).sort((a, b) => b[1] - a[1]);
  return [...ranked.map(([label, p]): [string, number] => [nameOf(label), p]), ["", 0], ["", 0]];
}
