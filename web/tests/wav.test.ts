import { expect, test } from "vitest";
import { readWav, writeWav } from "../src/audio/wav";
import { nativeRate } from "../src/audio/native_rate";

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

test("the rate is read from FLAC and MP3 headers", () => {
  const flac = new DataView(new ArrayBuffer(64));
  [..."fLaC"].forEach((c, i) => flac.setUint8(i, c.charCodeAt(0)));
  flac.setUint32(18, (48000 << 12) >>> 0);
  expect(nativeRate(flac.buffer)).toBe(48000);
  const mp3 = new DataView(new ArrayBuffer(64));
  mp3.setUint32(0, 0xfffb9000); // MPEG 1, layer III, 44,100 Hz
  expect(nativeRate(mp3.buffer)).toBe(44100);
  expect(nativeRate(new ArrayBuffer(3))).toBe(48000);
});
