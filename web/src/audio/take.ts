/** One recording from the microphone. */
import { strings } from "../strings.en";
import { PageError, type Recording } from "../types";
import { toRecording } from "./decode";
import { type Microphone, openMicrophone } from "./microphone";
import { writeWav } from "./wav";

const SHORTEST_S = 0.2;

export class Take {
  private readonly blocks: Float32Array[] = [];
  private n = 0;
  private microphone!: Microphone;

  private constructor() {}

  /** Start to record; `onBlock` receives every block of samples, and the length so far. */
  static async start(onBlock: (block: Float32Array, timeS: number) => void): Promise<Take> {
    const take = new Take();
    take.microphone = await openMicrophone((block) => {
      take.blocks.push(block);
      take.n += block.length;
      onBlock(block, take.n / (take.microphone?.rate ?? 48000));
    });
    return take;
  }

  get stream(): MediaStream {
    return this.microphone.stream;
  }

  /** Close the microphone. */
  stop(): Promise<void> {
    return this.microphone.stop();
  }

  /**
   * What was recorded.
   * @throws PageError if it is too short
   */
  recording(name: string): Recording {
    const { rate } = this.microphone;
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
