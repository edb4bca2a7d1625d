/** The player: waveform coloured by emotion, attention and probabilities below it, and one cursor over all. */
import WaveSurfer from "wavesurfer.js";
import { outline } from "../audio/outline";
import { bounds, type WindowModel, toSegments, windowAt } from "../engine/predictions";
import { strings } from "../language";
import { clock } from "../numbers";
import type { Prediction, Recording, Window } from "../types";
import { h, replace } from "./dom";
import { icon } from "./icons";
import { colour, theme } from "./shades";
import { drawAttention, drawAxis, drawRibbon, drawRiver, segmentText } from "./tracks";

const BAR = 3; // CSS pixels, with a gap of 1

export class Player {
  readonly element: HTMLElement;
  private readonly surfer: WaveSurfer;
  private readonly ribbon = h("ol", { class: "ribbon", "aria-label": strings.try.segmentsLabel });
  private readonly attention = h("div", { class: "attention" });
  private readonly river = h("div", { class: "river" });
  private readonly wave = h("div", { class: "wave" });
  private readonly cursor = h("div", { class: "cursor", "aria-hidden": "true" });
  private readonly button = h("button", { type: "button", class: "round", onclick: () => this.toggle() });
  private readonly time = h("span", { class: "time" });
  private readonly slider: HTMLElement;
  private windows: Window[] = [];
  private readonly peaks: Float32Array;
  private lastText = "";
  /** The target of a seek in seconds, until the media element reaches it. */
  private seeking: number | undefined;

  constructor(
    private readonly recording: Recording,
    private readonly model: WindowModel,
    private readonly onMoment: (timeS: number, window: Window | undefined) => void,
  ) {
    this.peaks = outline(recording.mono);
    const axis = h("div", { class: "axis", "aria-hidden": "true" });
    const rows = strings.try.rows;
    const track = (name: string, body: HTMLElement): HTMLElement =>
      h("div", { class: "track" }, h("div", { class: "track-name", "aria-hidden": "true" }, name), body);
    this.slider = h(
      "div",
      {
        class: "stage",
        role: "slider",
        tabindex: 0,
        "aria-label": strings.try.position,
        "aria-valuemin": 0,
        "aria-valuemax": recording.durationS.toFixed(2),
        "aria-valuenow": 0,
        onkeydown: (event: KeyboardEvent) => this.key(event),
        onpointerdown: (event: PointerEvent) => this.drag(event),
      },
      track(rows.wave, this.wave),
      track(rows.attention, this.attention),
      track(rows.over, this.river),
    );
    this.element = h(
      "div",
      { class: "player" },
      h(
        "div",
        { class: "player-head" },
        this.button,
        h("div", { class: "player-title" }, h("div", { class: "file-name" }, recording.name), this.time),
      ),
      h("div", { class: "tracks" }, track(rows.emotion, this.ribbon), this.slider, this.cursor),
      axis,
      h("p", { class: "hint" }, strings.try.keys),
    );
    drawAxis(axis, recording.durationS);
    this.surfer = WaveSurfer.create({
      container: this.wave,
      height: "auto",
      cursorWidth: 0,
      interact: false,
      hideScrollbar: true,
      renderFunction: (_, context) => this.paint(context),
    });
    void this.surfer.loadBlob(recording.file, [this.peaks], recording.durationS).catch(() => undefined);
    this.surfer.on("timeupdate", () => {
      if (this.surfer.isPlaying()) this.seeking = undefined; // from here on, the media's time counts
      this.moved();
    });
    this.surfer.on("ready", () => this.seeking !== undefined && this.seek(this.seeking)); // a seek before the media was ready
    const media = this.surfer.getMediaElement();
    media?.addEventListener("seeked", () => {
      // The event may belong to an earlier seek, so compare the time.
      if (this.seeking !== undefined && Math.abs(media.currentTime - this.seeking) < 0.05) this.seeking = undefined;
    });
    for (const event of ["play", "pause", "finish"] as const) this.surfer.on(event, () => this.label());
    this.label();
    this.moved();
  }

  /** Show the attention of the prediction for the whole recording. */
  showPrediction(prediction: Prediction, stepS: number): void {
    this.attention.parentElement?.toggleAttribute("hidden", prediction.attention.length === 0); // of a long recording
    drawAttention(this.attention, prediction, stepS);
  }

  /** Show the windows so far. */
  showWindows(windows: Window[], complete: boolean): void {
    this.windows = windows;
    const reachedS = complete ? this.recording.durationS : (bounds(windows, this.recording.durationS).at(-2) ?? 0);
    const threshold = this.model.abstain_below;
    if (complete) {
      drawRibbon(this.ribbon, toSegments(windows, this.recording.durationS, threshold), this.recording.durationS);
      drawRiver(this.river, this.model.labels, windows, this.recording.durationS);
    } else if (reachedS > 0) {
      const known = windows.slice(0, -1);
      drawRibbon(this.ribbon, toSegments(known, reachedS, threshold), this.recording.durationS);
    }
    this.repaint();
    this.moved();
  }

  /** Redraw the canvas in the colours of the theme. */
  repaint(): void {
    this.surfer.setOptions({});
  }

  toggle(): void {
    void this.surfer.playPause().catch(() => undefined);
  }

  seek(timeS: number): void {
    this.seeking = Math.min(Math.max(timeS, 0), this.recording.durationS);
    this.surfer.setTime(this.seeking);
    this.moved();
  }

  destroy(): void {
    this.surfer.destroy();
    this.element.remove();
  }

  private paint(context: CanvasRenderingContext2D): void {
    const { width, height } = context.canvas;
    const step = (BAR + 1) * (window.devicePixelRatio || 1);
    const bar = BAR * (window.devicePixelRatio || 1);
    const highest = Math.max(this.recording.peak, 0.02);
    const edges = bounds(this.windows, this.recording.durationS);
    let at = 0;
    context.clearRect(0, 0, width, height);
    for (let x = 0; x < width; x += step) {
      const [from, to] = [x / width, Math.min((x + step) / width, 1)];
      let size = 0;
      for (let i = Math.floor(from * this.peaks.length); i < Math.ceil(to * this.peaks.length); i++)
        size = Math.max(size, Math.abs(this.peaks[i]));
      while (at < this.windows.length - 1 && from * this.recording.durationS >= edges[at + 1]) at++;
      const current = this.windows[at];
      const timeS = 0.5 * (from + to) * this.recording.durationS;
      const isVoice = current && timeS >= current.voiced_start_s && timeS <= current.voiced_end_s;
      context.fillStyle = colour(isVoice ? current.emotion : null, theme());
      const tall = Math.max((size / highest) * (height - 4), bar);
      context.beginPath();
      context.roundRect(x, (height - tall) / 2, bar, tall, bar / 2);
      context.fill();
    }
  }

  private get timeS(): number {
    // The media's own time: wavesurfer's is only updated by events.
    const now = this.surfer.getMediaElement()?.currentTime ?? this.surfer.getCurrentTime();
    return this.seeking ?? Math.min(now, this.recording.durationS);
  }

  private key(event: KeyboardEvent): void {
    const now = this.timeS;
    const steps: Record<string, number> = {
      ArrowLeft: now - 0.1,
      ArrowDown: now - 0.1,
      ArrowRight: now + 0.1,
      ArrowUp: now + 0.1,
      PageUp: now + 1,
      PageDown: now - 1,
      Home: 0,
      End: this.recording.durationS,
    };
    if (event.key === " ") this.toggle();
    else if (event.key in steps) this.seek(steps[event.key]);
    else return;
    event.preventDefault();
  }

  private drag(event: PointerEvent): void {
    const move = ({ clientX }: { clientX: number }): void => {
      const box = this.slider.getBoundingClientRect();
      this.seek(((clientX - box.left) / box.width) * this.recording.durationS);
    };
    move(event);
    this.slider.setPointerCapture(event.pointerId);
    this.slider.onpointermove = move;
    this.slider.onpointerup = this.slider.onpointercancel = () => {
      this.slider.onpointermove = null;
    };
  }

  private moved(): void {
    const timeS = this.timeS;
    const window = windowAt(this.windows, this.recording.durationS, timeS);
    this.cursor.style.setProperty("--x", String(timeS / this.recording.durationS));
    this.time.textContent = `${clock(timeS)} / ${clock(this.recording.durationS)}`;
    this.slider.setAttribute("aria-valuenow", timeS.toFixed(2));
    const answer = window ? segmentText(window) : strings.try.momentPending;
    const text = strings.try.positionText(timeS, answer);
    if (text !== this.lastText) this.slider.setAttribute("aria-valuetext", (this.lastText = text));
    this.onMoment(timeS, window);
  }

  private label(): void {
    const playing = this.surfer?.isPlaying() ?? false;
    replace(this.button, icon(playing ? "pause" : "play", 22));
    this.button.setAttribute("aria-label", playing ? strings.try.pause : strings.try.play);
  }
}
