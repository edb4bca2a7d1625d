/** The controls that change the answers: "Get used to me", and the choice of emotions. Shown in the views "Try it" and "Live". */
import { decode } from "../audio/decode";
import { Take } from "../audio/take";
import { type AdjustedEngine, estimate, predict } from "../engine/adjustment";
import { facts } from "../facts";
import { nameOf, strings } from "../language";
import type { Model, Prediction, Recording } from "../types";
import { h, replace } from "./dom";
import { glyph } from "./glyphs";
import { icon } from "./icons";
import { Level } from "./level";
import { announce, Notice } from "./notice";
import { cssColour } from "./shades";

const ENOUGH = 10; // recordings, after which the model settles by itself

export class Adjusting {
  readonly element: HTMLElement;
  private readonly bar = h("div", { class: "adjusting-bar", role: "group", "aria-label": strings.settle.label });
  private readonly settlePanel: HTMLElement;
  private readonly emotionsPanel: HTMLElement;
  private readonly notice = new Notice();
  private readonly level = new Level();
  private readonly status = h("p", { class: "note", role: "status" });
  private readonly count = h("p", { class: "settle-count" });
  private readonly dots = h("div", { class: "settle-dots", role: "progressbar", "aria-label": strings.settle.progress, "aria-valuemin": 0 });
  private readonly recordButton = h("button", { type: "button", class: "button is-first", onclick: () => void this.record() });
  private readonly useButton = h("button", { type: "button", class: "button", onclick: () => this.useThese() }, icon("check", 18), strings.settle.use);
  private readonly input: HTMLInputElement;
  private readonly boxes: HTMLInputElement[];
  private readonly few = h("p", { class: "note", role: "status" });
  private predictions: Prediction[];
  private take: Take | null = null;
  private busy = false;

  /** @param before the controls in another language, of which these take the recordings */
  constructor(
    private readonly model: Model,
    private readonly engine: AdjustedEngine,
    private readonly onChange: () => void,
    before?: Adjusting,
  ) {
    this.predictions = before?.predictions ?? [];
    if (before) before.predictions = []; // which ends what it still reads
    const words = strings.settle;
    this.input = h("input", {
      type: "file",
      multiple: true,
      class: "only-read",
      tabindex: -1,
      "aria-hidden": "true",
      accept: "audio/*,video/*,.wav,.flac,.mp3,.m4a,.ogg,.opus,.webm,.aac",
      onchange: () => {
        const files = [...(this.input.files ?? [])].slice(0, facts.settling.most);
        this.input.value = "";
        void this.add(files.map((file) => ({ name: file.name, read: () => decode(file, file.name) })));
      },
    });
    this.settlePanel = h(
      "section",
      { class: "card settle", id: "settle-panel", "aria-labelledby": "settle-heading", hidden: true },
      h("h2", { id: "settle-heading", tabindex: -1 }, words.heading),
      h("p", { class: "settle-lead" }, words.lead),
      h("p", { class: "note" }, words.noLabels),
      h("div", { class: "settle-progress" }, this.dots, this.count),
      this.level.element,
      h(
        "div",
        { class: "settle-buttons" },
        this.recordButton,
        h("button", { type: "button", class: "button", onclick: () => this.input.click() }, icon("file", 18), words.choose),
        this.useButton,
      ),
      this.input,
      this.status,
      this.notice.element,
    );
    this.boxes = model.labels.map((label) =>
      h("input", { type: "checkbox", id: `only-${label}`, value: label, checked: engine.emotions?.includes(label) ?? true, onchange: () => this.restrict() }),
    );
    this.emotionsPanel = h(
      "section",
      { class: "card", id: "emotions-panel", hidden: true },
      h(
        "fieldset",
        { class: "only" },
        h("legend", {}, strings.emotions.legend),
        ...model.labels.map((label, i) =>
          h("span", { class: "only-option", "--c": cssColour(label) }, this.boxes[i], h("label", { for: `only-${label}` }, glyph(label, 20), nameOf(label))),
        ),
      ),
      h("p", { class: "note" }, strings.emotions.text),
      this.few,
    );
    this.element = h("div", { class: "adjusting" }, this.bar, this.settlePanel, this.emotionsPanel);
    this.draw();
  }

  /** Close the microphone. */
  hide(): void {
    void this.stop();
  }

  private async record(): Promise<void> {
    if (this.busy) return;
    this.notice.clear();
    const words = strings.settle;
    const { take } = this;
    if (take && !take.isOpen) return;
    if (take) {
      await this.stop();
      const name = words.sentence(this.predictions.length + 1);
      await this.add([{ name, read: () => take.recording(name) }], take.isFull ? strings.try.recordingFull(facts.longest_s) : "");
      return;
    }
    const started = (this.take = new Take(
      (block, timeS) => {
        this.level.push(block);
        this.status.textContent = strings.try.recording(timeS);
      },
      () => void this.record(),
    ));
    try {
      const { stream } = await started.opened;
      if (this.take !== started) return; // the panel was closed before the microphone was open
      void this.level.start(stream);
      announce(words.starts);
    } catch (error) {
      await this.stop();
      this.notice.show(error);
    }
    this.draw();
  }

  private async stop(): Promise<void> {
    const { take } = this;
    if (!take) return;
    this.take = null;
    this.level.stop();
    this.status.textContent = "";
    this.draw();
    await take.stop();
  }

  /**
   * Recognise recordings one after the other; one that cannot be used does not stop the others.
   * @param note what to know about them
   */
  private async add(several: { name: string; read: () => Promise<Recording> }[], note = ""): Promise<void> {
    if (this.busy || several.length === 0) return;
    this.notice.clear();
    this.busy = true;
    this.draw();
    let skipped = note;
    const { predictions } = this; // another list after "Forget", which also ends this
    for (const [i, { name, read }] of several.entries()) {
      this.status.textContent = strings.settle.reading(name, i + 1, several.length);
      try {
        const found = await predict(this.engine.plain, await read());
        if (predictions !== this.predictions) break;
        if (found.emotion === null) skipped = [note, strings.settle.noSpeech(name)].join(" ").trim();
        else predictions.push(found);
      } catch (error) {
        this.notice.show(error);
      }
      this.drawProgress();
    }
    this.busy = false;
    const n = this.predictions.length;
    if (predictions !== this.predictions) {
      this.status.textContent = "";
      this.draw();
    } else if (n >= ENOUGH || (this.isOwn && n >= facts.settling.fewest)) this.settle();
    else {
      this.status.textContent = skipped;
      announce([skipped, strings.settle.of(n, ENOUGH)].join(" "));
      this.draw();
    }
  }

  /** Whether the model has settled on recordings of this page. */
  private get isOwn(): boolean {
    return this.engine.settled !== null && this.engine.settled !== (this.model.settled ?? null);
  }

  private useThese(): void {
    this.settle();
    this.bar.querySelector("button")?.focus(); // because the pressed button is hidden now
  }

  private settle(): void {
    this.engine.settled = estimate(this.predictions, this.model.labels);
    this.status.textContent = strings.settle.inUse(this.engine.settledOn);
    this.change(strings.settle.settledOn(this.engine.settledOn));
  }

  private forget(): void {
    this.predictions = [];
    this.engine.settled = null;
    this.status.textContent = "";
    this.change(strings.settle.forgotten);
    this.bar.querySelector("button")?.focus();
  }

  private restrict(): void {
    const kept = this.boxes.filter((box) => box.checked).map((box) => box.value);
    this.few.textContent = kept.length < 2 ? strings.emotions.few : "";
    if (kept.length < 2) return;
    this.engine.emotions = kept.length < this.model.labels.length ? kept : null;
    this.change(this.engine.emotions ? strings.emotions.only(kept.length) : strings.emotions.all);
  }

  private change(text: string): void {
    announce(text);
    this.draw();
    this.onChange();
  }

  private draw(): void {
    const words = strings.settle;
    const { settled, emotions } = this.engine;
    const toggle = (panel: HTMLElement, text: string, isSet: boolean): HTMLElement =>
      h(
        "button",
        {
          type: "button",
          class: isSet ? "chip is-set" : "chip",
          "aria-expanded": String(!panel.hidden),
          "aria-controls": panel.id,
          onclick: () => {
            panel.hidden = !panel.hidden;
            if (panel.hidden && panel === this.settlePanel) this.hide();
            this.draw();
            this.bar.querySelector<HTMLElement>(`[aria-controls=${panel.id}]`)?.focus();
          },
        },
        isSet ? icon("check", 16) : null,
        text,
      );
    replace(
      this.bar,
      toggle(this.settlePanel, settled ? words.settledOn(settled.n_recordings) : words.heading, settled !== null),
      settled && h("button", { type: "button", class: "chip", "data-forget": "", onclick: () => this.forget() }, icon("cross", 16), words.forget),
      toggle(this.emotionsPanel, emotions ? strings.emotions.only(emotions.length) : strings.emotions.button, emotions !== null),
    );
    const on = this.take?.isOpen ?? false;
    replace(this.recordButton, icon(on ? "stop" : "microphone", 18), on ? words.stop : words.record);
    this.recordButton.classList.toggle("is-on", on);
    this.recordButton.disabled = this.busy;
    this.useButton.hidden = this.isOwn;
    this.useButton.disabled = this.busy || this.predictions.length < facts.settling.fewest;
    this.drawProgress();
  }

  private drawProgress(): void {
    const n = this.predictions.length;
    const text = strings.settle.of(n, ENOUGH);
    this.dots.setAttribute("aria-valuemax", String(Math.max(n, ENOUGH)));
    this.dots.setAttribute("aria-valuenow", String(n));
    this.dots.setAttribute("aria-valuetext", text);
    replace(this.dots, ...Array.from({ length: ENOUGH }, (_, i) => h("span", { class: i < n ? "is-done" : "" })));
    this.count.textContent = n < facts.settling.fewest ? `${text} ${strings.settle.fewest(facts.settling.fewest)}` : text;
    this.element.dataset.recordings = String(n);
  }
}

