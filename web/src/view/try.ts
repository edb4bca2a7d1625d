/** The view "Try it": drop, choose or record; then the player, the answer and the current moment. */
import { decode } from "../audio/decode";
import { Take } from "../audio/take";
import { HOP_S, WINDOW_S } from "../engine/engine";
import { speechS, toTimeline } from "../engine/predictions";
import { facts } from "../facts";
import { nameOf, strings } from "../language";
import { clock } from "../numbers";
import type { Model, Prediction, Recording, Window } from "../types";
import { Bars } from "./bars";
import { predictionCard } from "./card";
import { h, replace } from "./dom";
import { glyph } from "./glyphs";
import { icon } from "./icons";
import { Level } from "./level";
import { announce, Notice } from "./notice";
import type { Player } from "./player";
import { saveButtons } from "./saving";
import { cssColour } from "./shades";
import type { State, View } from "./state";

export class TryView implements View {
  readonly element: HTMLElement;
  private readonly notice = new Notice();
  private readonly entry: HTMLElement;
  private readonly result = h("div", { class: "result", hidden: true });
  private readonly input: HTMLInputElement;
  private readonly recordButton: HTMLButtonElement;
  private readonly busy = h("p", { class: "busy", role: "status" });
  private readonly level = new Level();
  private take: Take | null = null;
  private readonly adjustingPlace = h("div", {});
  private opened: { recording: Recording; note: () => string } | null = null; // the newest that was read
  private player: Player | null = null;
  private job: AbortController | null = null;
  private nOpened = 0;

  /** @param before the view in another language, of which this one takes the recording */
  constructor(private readonly state: State, before?: TryView) {
    const words = strings.try;
    this.input = h("input", {
      type: "file",
      class: "only-read",
      tabindex: -1,
      "aria-hidden": "true",
      accept: "audio/*,video/*,.wav,.flac,.mp3,.m4a,.ogg,.opus,.webm,.aac",
      onchange: () => {
        const [file] = this.input.files ?? [];
        if (file) void this.open(file, file.name);
        this.input.value = "";
      },
    });
    this.recordButton = h("button", { type: "button", class: "button", onclick: () => void this.record() });
    this.entry = h(
      "div",
      { class: "entry" },
      h(
        "div",
        { class: "entry-drop" },
        icon("file", 30),
        h("p", { class: "entry-title" }, words.drop),
        h("p", { class: "note" }, words.dropFormats),
      ),
      this.level.element,
      h(
        "div",
        { class: "entry-buttons" },
        h("button", { type: "button", class: "button is-first", onclick: () => this.input.click() }, icon("file", 18), words.choose),
        this.recordButton,
        h("button", { type: "button", class: "button", "data-example": "", onclick: () => void this.openExample() }, icon("play", 18), words.example),
      ),
      this.input,
    );
    this.element = h(
      "section",
      { class: "view", "aria-labelledby": "try-heading" },
      h("div", { class: "hero" }, h("h1", { id: "try-heading" }, words.heading), h("p", { class: "lead" }, words.lead)),
      this.entry,
      this.adjustingPlace,
      this.notice.element,
      this.busy,
      h(
        "div",
        { class: "known" },
        h("p", { class: "note" }, words.known(this.state.model.labels.length)),
        h("ul", { class: "emotions" }, ...this.state.model.labels.map((label) => h("li", { "--c": cssColour(label) }, glyph(label, 26), nameOf(label)))),
      ),
      this.result,
    );
    this.labelRecord();
    for (const type of ["dragenter", "dragover"] as const)
      this.element.addEventListener(type, (event) => {
        event.preventDefault();
        this.entry.classList.add("is-over");
      });
    for (const type of ["dragleave", "drop"] as const)
      this.element.addEventListener(type, (event) => {
        event.preventDefault();
        this.entry.classList.remove("is-over");
        const file = type === "drop" ? event.dataTransfer?.files[0] : undefined;
        if (file) void this.open(file, file.name);
      });
    if (before) this.continue(before);
  }

  show(): void {
    this.adjustingPlace.append(this.state.adjusting.element);
  }

  hide(): void {
    void this.stopTake();
    this.state.adjusting.hide();
  }

  adjusted(): void {
    const { opened } = this;
    if (opened && !this.result.hidden) void this.guarded(() => this.recognise(opened.recording, opened.note));
  }

  refresh(): void {
    this.player?.repaint();
  }

  private continue(before: TryView): void {
    before.nOpened++; // whatever it still reads is not shown
    before.job?.abort();
    before.player?.destroy();
    const { opened } = before;
    if (opened && !before.result.hidden) void this.guarded(() => this.recognise(opened.recording, opened.note));
  }

  private async open(file: Blob, name: string): Promise<void> {
    await this.openWith(name, () => decode(file, name));
  }

  private async openExample(): Promise<void> {
    const name = strings.try.exampleName;
    const read = async (): Promise<Recording> => decode((await import("../audio/example")).exampleFile(), name);
    await this.openWith(name, read, () => strings.try.exampleText);
  }

  /**
   * Recognise a recording, unless another one is opened before it has been read.
   * @param note what to know about the recording
   */
  private async openWith(name: string, read: () => Promise<Recording>, note = (): string => ""): Promise<void> {
    const number = ++this.nOpened;
    const isNewest = (): boolean => number === this.nOpened;
    await this.guarded(async () => {
      this.result.dataset.state = "reading";
      delete this.result.dataset.prediction;
      this.busy.textContent = strings.try.reading(name);
      const recording = await read();
      if (isNewest()) await this.recognise(recording, note);
    }, isNewest);
  }

  private async record(): Promise<void> {
    await this.guarded(async () => {
      const { take } = this;
      if (take && !take.isOpen) return;
      if (!take) {
        const started = (this.take = new Take(
          (block, timeS) => {
            this.level.push(block);
            this.busy.textContent = strings.try.recording(timeS);
          },
          () => void this.record(),
        ));
        const { stream } = await started.opened;
        if (this.take !== started) return; // the view was left before the microphone was open
        void this.level.start(stream);
        announce(strings.try.recordingStarts);
        this.labelRecord();
        return;
      }
      const name = strings.try.recordingName;
      const note = (): string => (take.isFull ? strings.try.recordingFull(facts.longest_s) : "");
      if (take.isFull) announce(note());
      await this.openWith(
        name,
        async () => {
          await this.stopTake();
          return take.recording(name);
        },
        note,
      );
    });
  }

  private async stopTake(): Promise<void> {
    const { take } = this;
    if (!take) return;
    this.take = null;
    this.level.stop();
    this.busy.textContent = "";
    this.labelRecord();
    await take.stop();
  }

  private async recognise(recording: Recording, note: () => string): Promise<void> {
    this.job?.abort();
    this.player?.destroy();
    this.opened = { recording, note };
    const job = (this.job = new AbortController());
    const { model } = this.state.engine;
    const { where } = this.state.engine;
    const moment = new Moment(model);
    const { Player } = await import("./player");
    if (job.signal.aborted) return;
    const player = (this.player = new Player(recording, model, (timeS, window) => moment.show(timeS, window)));
    const answer = h("div", { class: "answer-place" }, waitingCard());
    const progress = h("p", { class: "note progress", role: "status" });
    const saving = h("div", { class: "saving-place" });
    replace(
      this.result,
      h(
        "div",
        { class: "result-main" },
        note() && h("p", { class: "card example-note" }, note()),
        h("div", { class: "card" }, player.element, progress),
        moment.element,
        saving,
      ),
      h("div", { class: "result-side" }, answer),
    );
    this.result.hidden = false;
    this.entry.classList.add("is-small");
    this.element.classList.add("has-result");
    this.busy.textContent = strings.try.recognising;
    this.result.dataset.state = "recognising";
    let prediction: Prediction | undefined;
    let windows: Window[] = [];
    await this.state.engine.recognise(
      recording,
      {
        onPrediction: (found, tookMs) => {
          prediction = found;
          const card = predictionCard(found, model, where, tookMs, speechS(windows, recording.durationS));
          replace(answer, card);
          announce(card.querySelector<HTMLElement>("[data-answer]")?.dataset.answer ?? "");
          player.showPrediction(found, model.frames_per_step * model.frame_period_s);
          this.busy.textContent = "";
          if (progress.textContent === strings.try.wholeBusy) progress.textContent = "";
          this.result.dataset.tookMs = String(tookMs);
          this.result.dataset.prediction = JSON.stringify([found]); // for scripts: the same JSON as in the saved file
          this.result.dataset.state = "answered";
        },
        onWindows: (found, share) => {
          windows = found;
          progress.textContent = share < 1 ? strings.try.timelineBusy(share) : prediction ? "" : strings.try.wholeBusy;
          player.showWindows(found, share === 1);
        },
      },
      job.signal,
    );
    if (job.signal.aborted || !prediction) return;
    const timeline = toTimeline(windows, model, recording.name, recording.durationS, WINDOW_S, HOP_S, prediction.warnings, prediction.settled_on, prediction.dimensions);
    replace(saving, saveButtons(recording, prediction, timeline));
    this.result.dataset.state = "complete";
  }

  /** Run `work`; show any error as a notice and keep the page usable, unless the user has opened something else. */
  private async guarded(work: () => Promise<void>, isCurrent = (): boolean => true): Promise<void> {
    this.notice.clear();
    try {
      await work();
    } catch (error) {
      if (!isCurrent()) return;
      await this.stopTake();
      this.notice.show(error);
      const failed = this.result.querySelector(".is-waiting");
      // Keep the windows, even if the recording as a whole failed.
      if (failed && this.result.querySelector(".segment")) failed.remove();
      else if (failed) {
        this.result.hidden = true;
        this.entry.classList.remove("is-small");
        this.element.classList.remove("has-result");
      }
    } finally {
      if (!this.take && isCurrent()) this.busy.textContent = "";
    }
  }

  private labelRecord(): void {
    const on = this.take?.isOpen ?? false;
    replace(this.recordButton, icon(on ? "stop" : "microphone", 18), on ? strings.try.stop : strings.try.record);
    this.recordButton.classList.toggle("is-on", on);
    this.entry.classList.toggle("is-recording", on);
  }
}

/** The probabilities at the cursor. */
class Moment {
  readonly element: HTMLElement;
  private readonly title = h("h2", { class: "card-name" }, strings.try.moment);
  private readonly note = h("p", { class: "note" }, strings.try.momentHint(""));
  private readonly bars: Bars;

  constructor(model: Model) {
    this.bars = new Bars(model.labels, strings.try.probabilities, true);
    this.bars.show(null);
    this.element = h("section", { class: "card moment", "aria-label": strings.try.moment }, this.title, this.bars.element, this.note);
  }

  show(timeS: number, window: Window | undefined): void {
    this.title.textContent = strings.try.momentAt(timeS);
    this.bars.show(window?.probabilities ?? null);
    if (window && !window.speech) this.note.textContent = strings.try.momentNone;
    else {
      const range = window ? `${clock(window.start_s)} – ${clock(window.end_s)}` : "";
      const doubt = window?.abstain ? ` ${strings.try.momentUnsure}` : "";
      this.note.textContent = `${strings.try.momentHint(range)}${doubt}`;
    }
  }
}

function waitingCard(): HTMLElement {
  return h(
    "div",
    { class: "card is-waiting", "aria-hidden": "true" },
    h("div", { class: "ghost ghost-word" }),
    ...[92, 70, 84, 60, 76, 66].map((width) => h("div", { class: "ghost", "--w": `${width}%` })),
  );
}
