/** One recording from the microphone. */
import { strings } from "../strings.en";
import { PageError, type Recording } from "../types";
import { toRecording } from "./decode";
import { type Microphone, openMicrophone } from "./microphone";
import { writeWav } from "./wav";

const SHORTEST_S = 0.2;

export class Take {
  /** The microphone, as soon as it is open. */
  readonly opened: Promise<Microphone>;
  isOpen = false;
  private isStopped = false;
  private readonly blocks: Float32Array[] = [];
  private n = 0;

  /** Start to record; `onBlock` receives every block of samples, and the length so far. */
  constructor(onBlock: (block: Float32Array, timeS: number) => void) {
    let rate = 48000;
    this.opened = openMicrophone((block) => {
      if (this.isStopped) return;
      this.blocks.push(block);
      this.n += block.length;
      onBlock(block, this.n / rate);
    }).then((microphone) => {
      ({ rate } = microphone);
      this.isOpen = true;
      return microphone;
    });
  }

  /** Close the microphone, also one that is still being opened. */
  async stop(): Promise<void> {
    this.isStopped = true;
    const microphone = await this.opened.catch(() => null); // whoever opened it shows the error
    await microphone?.stop();
  }

  /**
   * What was recorded.
   * @throws PageError if it is too short
   */
  async recording(name: string): Promise<Recording> {
    const { rate } = await this.opened;
    const samples = new Float32Array(this.n);
    let at = 0;
    for (const block of this.blocks) {
      samples.set(block, at);
      at += block.length;
    }
    if (samples.length < SHORTEST_S * rate) throw new PageError(strings.try.recordingTooShort, strings.try.recordingTooShortNext);
    return toRecording({ channels: [samples], rate, truncated: false }, writeWav(samples, rate), name);
  }
}
