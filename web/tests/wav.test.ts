import { expect, test } from "vitest";
import { readWav, writeWav } from "../src/audio/wav";
import { nativeRate } from "../src/audio/native_rate";
import { removeOpusDelay } from "../src/audio/opus_delay";

test("reading a written file returns its samples", async () => {
  const samples = Float32Array.from([0, 0.5, -0.5, 1, -1, 1 / 32768]);
  const read = readWav(await writeWav(samples, 48000).arrayBuffer());
  expect(read?.rate).toBe(48000);
  expect([...(read?.channels[0] ?? [])]).toEqual([0, 0.5, -0.5, 32767 / 32768, -1, 1 / 32768]);
  expect(read?.truncated).toBe(false);
});

test("a truncated file is read as far as it goes and marked", async () => {
  const whole = await writeWav(new Float32Array(100), 8000).arrayBuffer();
  const read = readWav(whole.slice(0, 144));
  expect(read?.channels[0].length).toBe(50);
  expect(read?.truncated).toBe(true);
});

test("24 bits and two channels are read", () => {
  const view = new DataView(new ArrayBuffer(44 + 12));
  const text = (at: number, letters: string): void => [...letters].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
  text(0, "RIFF");
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 2, true);
  view.setUint32(24, 44100, true);
  view.setUint16(34, 24, true);
  text(36, "data");
  view.setUint32(40, 12, true);
  [0, 0, 64, 0, 0, 192, 255, 255, 255, 1, 0, 0].forEach((byte, i) => view.setUint8(44 + i, byte));
  const read = readWav(view.buffer);
  expect([...(read?.channels[0] ?? [])]).toEqual([0.5, -1 / 8388608]);
  expect([...(read?.channels[1] ?? [])]).toEqual([-0.5, 1 / 8388608]);
});

test("a file that is not WAV gives null", () => {
  expect(readWav(new TextEncoder().encode("this is a text, no recording").buffer as ArrayBuffer)).toBeNull();
  expect(readWav(new ArrayBuffer(0))).toBeNull();
});

/** A WAV file with one chunk of samples; `more` is what the header declares. */
function wav(kind: number, bits: number, samples: number[], more: { size?: number; form?: string } = {}): ArrayBuffer {
  const form = more.form ?? "RIFF";
  const little = form !== "RIFX";
  const view = new DataView(new ArrayBuffer(44 + samples.length));
  const text = (at: number, letters: string): void => [...letters].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
  text(0, form);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, little);
  view.setUint16(20, kind, little);
  view.setUint16(22, 1, little);
  view.setUint32(24, 8000, little);
  view.setUint16(34, bits, little);
  text(36, "data");
  view.setUint32(40, more.size ?? samples.length, little);
  samples.forEach((byte, i) => view.setUint8(44 + i, byte));
  return view.buffer;
}

test("µ-law and A-law are decoded by the tables of G.711, at the file's own rate", () => {
  // ITU-T G.711, tables 2a and 1a: the largest, a middle and the smallest value of each sign.
  const mulaw = readWav(wav(7, 8, [0x00, 0x80, 0x7f, 0xff, 0x9f]));
  expect([...(mulaw?.channels[0] ?? [])].map((value) => value * 32768)).toEqual([-32124, 32124, -0, 0, 8316]);
  const alaw = readWav(wav(6, 8, [0x2a, 0xaa, 0x55, 0xd5, 0x80]));
  expect([...(alaw?.channels[0] ?? [])].map((value) => value * 32768)).toEqual([-32256, 32256, -8, 8, 5504]);
  expect(mulaw?.rate).toBe(8000);
});

test.each([0, 0xffffffff, 0x7ffff000])("a streamed file is read to its end, whatever size it declares: %i", (size) => {
  const read = readWav(wav(1, 16, [0, 64, 0, 192], { size }));
  expect([...(read?.channels[0] ?? [])]).toEqual([0.5, -0.5]);
  if (size !== 0x7ffff000) expect(read?.truncated).toBe(false);
});

test("big-endian files and files of more than 4 GB are read", () => {
  expect([...(readWav(wav(1, 16, [64, 0, 192, 0], { form: "RIFX" }))?.channels[0] ?? [])]).toEqual([0.5, -0.5]);
  expect([...(readWav(wav(1, 24, [64, 0, 0, 255, 255, 255], { form: "RIFX" }))?.channels[0] ?? [])]).toEqual([0.5, -1 / 8388608]);
  expect([...(readWav(wav(1, 16, [0, 64], { form: "RF64", size: 0xffffffff }))?.channels[0] ?? [])]).toEqual([0.5]);
});

/** Bytes as a file: letters, numbers of four bytes (big-endian), and raw bytes. */
function file(...parts: (string | number | Uint8Array)[]): ArrayBuffer {
  const bytes = parts.flatMap((part) => {
    if (typeof part === "string") return [...part].map((c) => c.charCodeAt(0));
    return typeof part === "number" ? [part >>> 24, (part >>> 16) & 255, (part >>> 8) & 255, part & 255] : [...part];
  });
  return new Uint8Array(bytes).buffer;
}

const nothing = (n: number): Uint8Array => new Uint8Array(n);
const WEBM = "\x1a\x45\xdf\xa3";

test("the rate of MP3 and ADTS counts only if the next frame has it too", () => {
  const mp3 = [0xfffb9000, nothing(413)] as const; // MPEG 1, layer III, 128 kbit/s, 44,100 Hz: 417 bytes
  expect(nativeRate(file(...mp3, ...mp3))).toBe(44100);
  expect(nativeRate(file(nothing(10), 0xfffb9000, nothing(300), 0xfffb9400, nothing(800)))).toBe(48000);
  const adts = [0xfff15840, 0x04000000, nothing(24)] as const; // 24,000 Hz, 32 bytes
  expect(nativeRate(file(...adts, ...adts))).toBe(24000);
});

test("the rate is read from the headers of FLAC, Ogg, WebM and MP4", () => {
  const info = [nothing(10), (8000 << 12) >>> 0, nothing(20)] as const; // STREAMINFO
  expect(nativeRate(file("fLaC", 34, ...info))).toBe(8000);
  expect(nativeRate(file("OggS", nothing(24), "\x7fFLAC\x01\x00\x00\x01fLaC", 34, ...info))).toBe(8000);
  expect(nativeRate(file("OggS", nothing(24), "OpusHead", nothing(11)))).toBe(48000);
  const hz = new Uint8Array(new Float64Array([16000]).buffer).reverse();
  expect(nativeRate(file(WEBM, nothing(20), "\x86\x88A_VORBIS", nothing(9), "\xb5\x88", hz))).toBe(16000);
  // Opus is decoded to 48,000 Hz, whatever its header contains; frames of MP3 in its data do not count.
  expect(nativeRate(file(WEBM, "A_OPUS", "\xb5\x88", hz, 0xfffb9000, nothing(413), 0xfffb9000, nothing(413)))).toBe(48000);
  const entry = [nothing(6), nothing(18), 22050 << 16, nothing(4)] as const;
  expect(nativeRate(file(16, "ftyp", nothing(8), 99, "stsd", 0, 1, 50, "mp4a", ...entry))).toBe(22050);
  const flac = file(16, "ftyp", nothing(8), 99, "stsd", 0, 1, 50, "fLaC", ...entry, 50, "dfLa", 0, 34, ...info);
  expect(nativeRate(flac)).toBe(8000);
  expect(nativeRate(new ArrayBuffer(3))).toBe(48000);
});

test("the delay of Opus is removed once: by the decoder, not by the container too", () => {
  const webm = file(WEBM, "A_OPUS", "\x56\xaa\x83\x63\x2e\xa0", "\x1f\x43\xb6\x75", "\x56\xaa\x81\x07");
  removeOpusDelay(webm);
  expect([...new Uint8Array(webm)].slice(10)).toEqual([0x56, 0xaa, 0x83, 0, 0, 0, 0x1f, 0x43, 0xb6, 0x75, 0x56, 0xaa, 0x81, 7]);
  const mp4 = (skip: number): ArrayBuffer => file(16, "ftyp", nothing(8), "dOps", 28, "elst", 0, 1, 3303, skip, 0x10000);
  const [short, cut] = [mp4(312), mp4(96000)];
  removeOpusDelay(short);
  removeOpusDelay(cut);
  expect(new DataView(short).getUint32(40)).toBe(0);
  expect(new DataView(cut).getUint32(40)).toBe(96000);
});
