/** The microphone's waveform, drawn live by wavesurfer. */
import type WaveSurfer from "wavesurfer.js";
import { h } from "./dom";

export class Level {
  readonly element = h("div", { class: "level", "aria-hidden": "true" });
  private surfer: WaveSurfer | null = null;
  private drawing: { onDestroy: () => void } | null = null;

  async start(stream: MediaStream): Promise<void> {
    this.stop();
    const { default: WaveSurfer } = await import("wavesurfer.js");
    const { default: RecordPlugin } = await import("wavesurfer.js/plugins/record");
    if (!stream.active) return;
    this.element.classList.add("is-on");
    const ink = getComputedStyle(this.element).color;
    const plugin = RecordPlugin.create({ scrollingWaveform: true, scrollingWaveformWindow: 6, renderRecordedAudio: false });
    this.surfer = WaveSurfer.create({
      container: this.element,
      height: 72,
      barWidth: 3,
      barGap: 1,
      barRadius: 2,
      waveColor: ink,
      progressColor: ink,
      cursorWidth: 0,
      interact: false,
      plugins: [plugin],
    });
    this.drawing = plugin.renderMicStream(stream);
  }

  /** Show the level of the newest block as the ring around the button. */
  push(block: Float32Array): void {
    let sum = 0;
    for (const sample of block) sum += sample * sample;
    const db = 10 * Math.log10(Math.max(sum / block.length, 1e-10));
    this.element.style.setProperty("--level", String(Math.min(Math.max((db + 60) / 50, 0), 1)));
  }

  stop(): void {
    this.drawing?.onDestroy();
    this.surfer?.destroy();
    this.drawing = this.surfer = null;
    this.element.classList.remove("is-on");
  }
}
