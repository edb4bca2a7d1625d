/** Read WAV files sample by sample, because a browser's decoder may resample them: PCM, floats, and G.711. */

export interface Pcm {
  channels: Float32Array[];
  rate: number;
  truncated: boolean; // the header announces more samples than the file contains
}

const PCM = 1;
const FLOAT = 3;
const ALAW = 6;
const MULAW = 7;
const EXTENSIBLE = 0xfffe;
const ENDLESS = 2 ** 31; // sizes from here on are placeholders, written before the length was known

/** The samples of a WAV file; null if it is not WAV, or needs another codec. */
export function readWav(buffer: ArrayBuffer): Pcm | null {
  const view = new DataView(buffer);
  if (buffer.byteLength < 12 || tag(view, 8) !== "WAVE") return null;
  const form = tag(view, 0);
  if (form !== "RIFF" && form !== "RF64" && form !== "RIFX") return null; // RF64: beyond 4 GB; RIFX: big-endian
  const little = form !== "RIFX";
  let kind = 0;
  let nChannels = 0;
  let rate = 0;
  let bits = 0;
  for (let at = 12; at + 8 <= buffer.byteLength; ) {
    const size = view.getUint32(at + 4, little);
    const start = at + 8;
    if (tag(view, at) === "fmt " && start + 16 <= buffer.byteLength) {
      kind = view.getUint16(start, little);
      nChannels = view.getUint16(start + 2, little);
      rate = view.getUint32(start + 4, little);
      bits = view.getUint16(start + 14, little);
      if (kind === EXTENSIBLE && size >= 26 && start + 26 <= buffer.byteLength) kind = view.getUint16(start + 24, little);
    } else if (tag(view, at) === "data") {
      const read = reader(view, kind, bits, little);
      if (!read || nChannels === 0 || rate === 0) return null;
      // A program that writes into a pipe leaves 0 or the largest number as size; the samples then fill the file.
      const left = buffer.byteLength - start;
      const there = size === 0 ? left : Math.min(size, left);
      const step = bits / 8;
      const nSamples = Math.floor(there / (step * nChannels));
      const channels = Array.from({ length: nChannels }, () => new Float32Array(nSamples));
      for (let i = 0, from = start; i < nSamples; i++)
        for (let channel = 0; channel < nChannels; channel++, from += step) channels[channel][i] = read(from);
      return { channels, rate, truncated: size > there + 1 && size < ENDLESS };
    }
    at = start + size + (size % 2);
  }
  return null;
}

/** A 16-bit mono WAV file. */
export function writeWav(samples: Float32Array, rate: number): Blob {
  const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const text = (at: number, letters: string): void => {
    for (let i = 0; i < letters.length; i++) view.setUint8(at + i, letters.charCodeAt(i));
  };
  text(0, "RIFF");
  view.setUint32(4, 36 + 2 * samples.length, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, PCM, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, 2 * rate, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, 2 * samples.length, true);
  for (let i = 0; i < samples.length; i++) view.setInt16(44 + 2 * i, toInt16(samples[i]), true);
  return new Blob([view.buffer], { type: "audio/wav" });
}

export function toInt16(sample: number): number {
  return Math.max(-32768, Math.min(32767, Math.round(sample * 32768)));
}

function reader(view: DataView, kind: number, bits: number, little: boolean): ((at: number) => number) | null {
  if (kind === FLOAT && bits === 32) return (at) => view.getFloat32(at, little);
  if (kind === FLOAT && bits === 64) return (at) => view.getFloat64(at, little);
  if (kind === MULAW && bits === 8) return (at) => mulaw(view.getUint8(at));
  if (kind === ALAW && bits === 8) return (at) => alaw(view.getUint8(at));
  if (kind !== PCM) return null;
  if (bits === 8) return (at) => (view.getUint8(at) - 128) / 128;
  if (bits === 16) return (at) => view.getInt16(at, little) / 32768;
  if (bits === 24)
    return little
      ? (at) => (view.getInt16(at + 1, true) * 256 + view.getUint8(at)) / 8388608
      : (at) => (view.getInt16(at) * 256 + view.getUint8(at + 2)) / 8388608;
  if (bits === 32) return (at) => view.getInt32(at, little) / 2147483648;
  return null;
}

/** One byte of µ-law (ITU-T G.711, table 2): sign, exponent and mantissa of a sample of 14 bits, inverted. */
function mulaw(byte: number): number {
  const value = ~byte & 0xff;
  const size = ((((value & 0x0f) << 3) + 0x84) << ((value >> 4) & 7)) - 0x84;
  return (value & 0x80 ? -size : size) / 32768;
}

/** One byte of A-law (ITU-T G.711, table 1): as above, of 13 bits, with every second bit inverted. */
function alaw(byte: number): number {
  const value = byte ^ 0x55;
  const exponent = (value >> 4) & 7;
  const mantissa = ((value & 0x0f) << 4) + 8;
  const size = exponent === 0 ? mantissa : (mantissa + 0x100) << (exponent - 1);
  return (value & 0x80 ? size : -size) / 32768;
}

function tag(view: DataView, at: number): string {
  return String.fromCharCode(view.getUint8(at), view.getUint8(at + 1), view.getUint8(at + 2), view.getUint8(at + 3));
}
