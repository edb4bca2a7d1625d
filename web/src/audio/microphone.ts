/** Uncompressed samples from the microphone, mono, at the device's own rate. */
import { strings } from "../language";
import { PageError } from "../types";

// Loaded from a blob, because a file would need a request after loading.
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

/** Open the microphone; `take` receives every block of samples. */
export async function openMicrophone(take: (block: Float32Array) => void): Promise<Microphone> {
  if (!navigator.mediaDevices?.getUserMedia)
    throw new PageError(strings.errors.noMicrophone, strings.errors.insecureNext);
  let stream: MediaStream;
  try {
    // Unprocessed: processing for calls (gain, noise, echo) would change the voice.
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
  const close = async (): Promise<void> => {
    for (const track of stream.getTracks()) track.stop();
    await context.close();
  };
  try {
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
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** A ring buffer of the newest samples. */
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

  /** The number of samples pushed so far. */
  get total(): number {
    return this.n;
  }

  /** A copy of the newest samples, at most the size of the ring. */
  last(): Float32Array {
    return this.samples.slice(Math.max(this.samples.length - this.n, 0));
  }
}
