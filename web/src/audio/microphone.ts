/** The microphone's samples as they come, mono, at the device's own rate: nothing is compressed on the way. */
import { strings } from "../strings.en";
import { PageError } from "../types";

// Given to the browser as a blob, for a file would be a request after loading.
const WORKLET = `registerProcessor("take", class extends AudioWorkletProcessor {
  constructor() { super(); this.block = new Float32Array(2048); this.n = 0; }
  process([input]) {
    const n = input.length ? input[0].length : 0;
    for (let i = 0; i < n; i++) {
      let sum = 0;
      for (const channel of input) sum += channel[i];
      this.block[this.n++] = sum / input.length;
      if (this.n === this.block.length) { this.port.postMessage(this.block); this.block = new Float32Array(2048); this.n = 0; }
    }
    return true;
  }
});`;

export interface Microphone {
  stream: MediaStream;
  rate: number;
  stop(): Promise<void>;
}

/** Asks for the microphone; `take` gets every block of samples. */
export async function openMicrophone(take: (block: Float32Array) => void): Promise<Microphone> {
  if (!navigator.mediaDevices?.getUserMedia)
    throw new PageError(strings.errors.noMicrophone, strings.errors.insecureNext);
  let stream: MediaStream;
  try {
    // As it is: what a telephone call needs (gain, noise, echo) would change the voice that is to be judged.
    stream = await navigator.mediaDevices.getUserMedia({
      audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
    });
  } catch (error) {
    const refused = error instanceof DOMException && error.name === "NotAllowedError";
    throw refused
      ? new PageError(strings.errors.refusedMicrophone, strings.errors.refusedMicrophoneNext)
      : new PageError(strings.errors.noMicrophone, strings.errors.noMicrophoneNext);
  }
  const context = new AudioContext();
  const address = URL.createObjectURL(new Blob([WORKLET], { type: "text/javascript" }));
  await context.audioWorklet.addModule(address);
  URL.revokeObjectURL(address);
  const node = new AudioWorkletNode(context, "take", { numberOfOutputs: 0 });
  node.port.onmessage = ({ data }) => take(data as Float32Array);
  context.createMediaStreamSource(stream).connect(node);
  await context.resume();
  return {
    stream,
    rate: context.sampleRate,
    async stop() {
      node.port.onmessage = null;
      for (const track of stream.getTracks()) track.stop();
      await context.close();
    },
  };
}

/** The last seconds of a sound that goes on. */
export class Ring {
  private readonly samples: Float32Array;
  private n = 0;

  constructor(size: number) {
    this.samples = new Float32Array(size);
  }

  push(block: Float32Array): void {
    const size = this.samples.length;
    if (block.length >= size) {
      this.samples.set(block.subarray(block.length - size));
    } else {
      this.samples.copyWithin(0, block.length);
      this.samples.set(block, size - block.length);
    }
    this.n += block.length;
  }

  /** How many samples came in, in all. */
  get total(): number {
    return this.n;
  }

  /** The newest ones, at most as many as the ring holds; a copy. */
  last(): Float32Array {
    return this.samples.slice(Math.max(this.samples.length - this.n, 0));
  }
}
