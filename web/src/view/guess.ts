/** The view "Guess first": listen to clips, guess their emotions, and compare the scores with the model's. */
import { facts } from "../facts";
import { nameOf, strings } from "../language";
import { PageError } from "../types";
import { type Answer, shuffled } from "../stats";
import { download } from "../save/download";
import { type Guess, guessesCsv } from "../save/formats";
import { type Clip, fileClips, serverClips, type Truth } from "./clips";
import { comparison } from "./comparison";
import { h, replace } from "./dom";
import { glyph } from "./glyphs";
import { icon } from "./icons";
import { announce, Notice } from "./notice";
import { cssColour } from "./shades";
import type { State, View } from "./state";

const SIZES = [10, 20, 40];

export class GuessView implements View {
  readonly element: HTMLElement;
  private readonly notice = new Notice();
  private readonly place = h("div", { class: "guess-place" });
  private readonly player = h("audio", { preload: "auto" });
  private clips: Clip[] = [];
  private guesses: Guess[] = [];
  private position = 0;
  private isOver = false;
  private tellMe = false;
  private playedAt = 0;
  private keys: ((event: KeyboardEvent) => void) | null = null;

  /** @param before the view in another language, of which this one continues the round */
  constructor(private readonly state: State, before?: GuessView) {
    this.element = h(
      "section",
      { class: "view guess", "aria-labelledby": "guess-heading" },
      h(
        "div",
        { class: "hero" },
        h("h1", { id: "guess-heading" }, strings.guess.heading),
        h("p", { class: "lead" }, strings.guess.lead),
      ),
      this.notice.element,
      this.place,
    );
    this.element.addEventListener("dragover", (event) => event.preventDefault());
    this.element.addEventListener("drop", (event) => {
      event.preventDefault();
      this.fromFiles([...(event.dataTransfer?.files ?? [])]);
    });
    document.addEventListener("keydown", (event) => {
      const typing = event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement;
      if (this.element.isConnected && !this.element.hidden && !typing && !event.altKey && !event.ctrlKey && !event.metaKey) this.keys?.(event);
    });
    this.tellMe = before?.tellMe ?? false;
    if (before && before.clips.length > 0) void this.guarded(() => this.continue(before));
    else this.intro();
  }

  private async continue({ clips, guesses, position, isOver }: GuessView): Promise<void> {
    Object.assign(this, { clips, guesses, position });
    if (isOver) this.results();
    else await this.nextClip();
  }

  hide(): void {
    this.player.pause();
  }

  refresh(): void {
    if (this.clips.length === 0) this.intro();
  }

  private intro(): void {
    this.keys = null;
    this.clips = [];
    const words = strings.guess;
    const input = h("input", {
      type: "file",
      class: "only-read",
      tabindex: -1,
      "aria-hidden": "true",
      multiple: true,
      accept: "audio/*,.wav,.flac",
      onchange: () => this.fromFiles([...(input.files ?? [])]),
    });
    const size = h("select", { id: "guess-size" }, ...SIZES.map((n) => h("option", { value: n }, strings.number(n))));
    const tell = h("input", {
      type: "checkbox",
      id: "guess-tell",
      onchange: () => {
        this.tellMe = tell.checked;
      },
    });
    tell.checked = this.tellMe;
    const { server, model } = this.state;
    if (!facts.ravdess_emotions.some((emotion) => model.labels.includes(emotion))) {
      replace(this.place, h("p", { class: "card note" }, words.otherLabels(model.name, model.labels.map(nameOf))));
      return;
    }
    replace(
      this.place,
      h(
        "div",
        { class: "guess-sources" },
        server && model.listen_corpus
          ? h(
              "section",
              { class: "card source" },
              h("h2", {}, words.fromServer),
              h("div", { class: "field" }, h("label", { for: "guess-size" }, words.howMany), size),
              h(
                "button",
                {
                  type: "button",
                  class: "button is-first",
                  onclick: () =>
                    void this.guarded(async () => this.begin((await serverClips(server)).slice(0, Number(size.value)))),
                },
                icon("play", 18),
                words.start,
              ),
            )
          : null,
        h(
          "section",
          { class: "card source" },
          h("h2", {}, words.fromFiles),
          h("p", { class: "note" }, words.fromFilesText),
          h(
            "button",
            { type: "button", class: "button is-first", onclick: () => input.click() },
            icon("file", 18),
            words.chooseFiles,
          ),
          h("p", { class: "note" }, words.dropFiles),
          model.listen_corpus ? null : h("p", { class: "note" }, words.serverHint),
          input,
        ),
      ),
      h(
        "div",
        { class: "guess-option" },
        tell,
        h("div", {}, h("label", { for: "guess-tell" }, words.tellMe), h("p", { class: "note" }, words.tellMeText)),
      ),
    );
  }

  private fromFiles(files: File[]): void {
    void this.guarded(async () => {
      if (files.length === 0) return;
      const clips = fileClips(files, this.state.model.labels, this.state.engine.plain);
      if (clips.length === 0) throw new PageError(strings.guess.noneNamed(files.length), strings.guess.noneNamedNext);
      if (clips.length < files.length) announce(strings.guess.ignored(files.length - clips.length));
      await this.begin(shuffled(clips));
    });
  }

  private async begin(clips: Clip[]): Promise<void> {
    this.clips = clips;
    this.guesses = [];
    this.position = 0;
    this.isOver = false;
    await this.nextClip();
  }

  private async nextClip(): Promise<void> {
    const words = strings.guess;
    const clip = this.clips[this.position];
    if (!clip) return this.results();
    replace(this.place, h("p", { class: "busy", role: "status" }, words.fetching));
    const address = URL.createObjectURL(await clip.audio());
    this.player.src = address;
    this.player.onloadeddata = () => URL.revokeObjectURL(address);
    this.playedAt = performance.now();
    const { labels } = this.state.model;
    const play = h("button", { type: "button", class: "button is-first is-large", onclick: () => this.play() }, icon("play", 20), words.play);
    const answers = labels.map((label, i) =>
      h(
        "button",
        { type: "button", class: "choice", "--c": cssColour(label), "data-label": label, onclick: () => void this.answer(label) },
        glyph(label, 30),
        h("span", { class: "choice-name" }, nameOf(label)),
        h("span", { class: "key", "aria-hidden": "true" }, String(i + 1)),
      ),
    );
    replace(
      this.place,
      h(
        "div",
        { class: "card guess-round" },
        h(
          "div",
          { class: "round-head" },
          h("p", { class: "round-count", role: "status" }, words.clip(this.position + 1, this.clips.length)),
          h("progress", { max: this.clips.length, value: this.position, "aria-label": words.clip(this.position + 1, this.clips.length) }),
          h("button", { type: "button", class: "chip", onclick: () => this.results() }, words.finish),
        ),
        play,
        h("h2", { class: "round-question", id: "guess-question" }, words.question),
        h("div", { class: "choices", role: "group", "aria-labelledby": "guess-question" }, ...answers),
        h("p", { class: "hint" }, words.keys(Math.min(labels.length, 9))),
      ),
    );
    this.keys = (event) => {
      const label = /^[1-9]$/.test(event.key) ? labels[Number(event.key) - 1] : undefined;
      if (label) void this.answer(label);
      else if (event.key === " " && !(event.target instanceof HTMLButtonElement)) this.play();
      else return;
      event.preventDefault();
    };
    play.focus();
    this.play();
  }

  /** Browsers block sound before the first interaction with the page; the button then starts it. */
  private play(): void {
    this.player.currentTime = 0;
    void this.player.play().catch(() => undefined);
  }

  private async answer(label: string): Promise<void> {
    const clip = this.clips[this.position];
    const seconds = (performance.now() - this.playedAt) / 1000;
    this.keys = null;
    for (const button of this.place.querySelectorAll<HTMLButtonElement>(".choice")) button.disabled = true;
    await this.guarded(async () => {
      const truth = await clip.guess(label);
      const { emotion: model, probability } = truth.prediction;
      this.guesses.push({ clip: clip.name, truth: truth.emotion, guess: label, model, modelProbability: probability, seconds });
      this.position++;
      if (this.tellMe) this.reveal(label, truth);
      else await this.nextClip();
    });
  }

  private reveal(label: string, truth: Truth): void {
    const words = strings.guess;
    const model = truth.prediction.emotion;
    const right = truth.emotion === label;
    const next = h("button", { type: "button", class: "button is-first", onclick: () => void this.guarded(() => this.nextClip()) }, words.next, icon("next", 18));
    for (const button of this.place.querySelectorAll<HTMLElement>(".choice")) {
      button.classList.toggle("is-truth", button.dataset.label === truth.emotion);
      button.classList.toggle("is-mistake", !right && button.dataset.label === label);
    }
    this.place.querySelector(".guess-round")?.append(
      h(
        "div",
        { class: "reveal" },
        icon(right ? "check" : "cross", 24),
        h(
          "div",
          { role: "status" },
          h("p", { class: "reveal-word" }, right ? words.right : words.wrong(nameOf(truth.emotion))),
          h("p", { class: "note" }, words.modelAnswer(model && nameOf(model), truth.prediction.probability)),
        ),
        next,
      ),
    );
    next.focus();
  }

  private results(): void {
    this.player.pause();
    this.keys = null;
    this.isOver = true;
    const words = strings.guess;
    const { labels } = this.state.model;
    const of = (pick: (guess: Guess) => string): Answer[] =>
      this.guesses.map((one) => ({ truth: one.truth, guess: pick(one) }));
    const again = h("button", { type: "button", class: "button", onclick: () => this.intro() }, icon("again", 18), words.another);
    const heading = h("h2", { class: "results-heading", tabindex: -1 }, words.results);
    replace(
      this.place,
      heading,
      this.guesses.length === 0
        ? h("p", { class: "note" }, words.none)
        : [
            comparison(of((one) => one.guess), of((one) => one.model ?? ""), labels),
            h("p", { class: "note" }, `${words.intervalText} ${words.seen}`),
          ],
      h(
        "div",
        { class: "entry-buttons" },
        this.guesses.length > 0 &&
          h(
            "button",
            { type: "button", class: "button is-first", "data-save": "guesses.csv", onclick: () => download("guesses.csv", guessesCsv(this.guesses), "text/csv") },
            icon("save", 18),
            words.save,
          ),
        again,
      ),
    );
    heading.focus();
    const right = this.guesses.filter((one) => one.guess === one.truth).length;
    announce(`${words.results}: ${words.rightOf(right, this.guesses.length)}, ${strings.percent(right / Math.max(this.guesses.length, 1))}`);
  }

  private async guarded(work: () => Promise<void>): Promise<void> {
    this.notice.clear();
    try {
      await work();
    } catch (error) {
      this.notice.show(error);
      // A clip that cannot be played is left out of the scores.
      if (this.clips.length > 0 && this.position < this.clips.length) {
        this.clips.splice(this.position, 1);
        if (this.clips.length > 0) await this.nextClip().catch(() => this.intro());
        else this.intro();
      }
    }
  }
}
