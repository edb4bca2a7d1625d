/** One recording from the microphone. */
import { facts } from "../facts";
import { strings } from "../language";
import { PageError, type Recording } from "../types";
import { toRecording } from "./decode";
import { type Microphone, openMicrophone } from "./microphone";
import { writeWav } from "./wav";

const SHORTEST_S = 0.2;

export class Take {
  /** The microphone, as soon as it is open. */
  readonly opened: Promise<Microphone>;
  isOpen = false;
  /** Whether it has reached the length of the longest recording of the page; nothing is recorded beyond. */
  isFull = false;
  private isStopped = false;
  private readonly blocks: Float32Array[] = [];
  private n = 0;

  /**
   * Start to record.
   * @param onBlock receives every block of samples, and the length so far
   * @param onFull called once, when it is as long as a recording of the page may be
   */
  constructor(onBlock: (block: Float32Array, timeS: number) => void, onFull: () => void, open = openMicrophone) {
    let rate = 48000;
    this.opened = open((block) => {
      if (this.isStopped || this.isFull) return;
      block = block.subarray(0, Math.floor(facts.longest_s * rate) - this.n);
      this.blocks.push(block);
      this.n += block.length;
      onBlock(block, this.n / rate);
      this.isFull = this.n >= Math.floor(facts.longest_s * rate);
      if (this.isFull) onFull();
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
