/**
 * Read the sample rate of a compressed file from its header. A browser resamples to the rate of its audio context, so
 * the file's own rate must be known before decoding.
 */

const MPEG_RATES = [44100, 48000, 32000];
const ADTS_RATES = [96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350];
const OPUS_RATE = 48000; // Opus always decodes to this rate
const HEAD = 1 << 16;

/** The rate in Hz; 48,000 for an unknown header. */
export function nativeRate(buffer: ArrayBuffer): number {
  const view = new DataView(buffer);
  const found = [flac, ogg, mp4, mpeg].map((read) => read(view)).find((rate) => rate !== null && rate >= 1000);
  return found && found <= 384000 ? found : OPUS_RATE;
}

function flac(view: DataView): number | null {
  if (!at(view, 0, "fLaC") || view.byteLength < 21) return null;
  return view.getUint32(18) >>> 12; // 20 bits of STREAMINFO
}

function ogg(view: DataView): number | null {
  if (!at(view, 0, "OggS")) return null;
  if (find(view, "OpusHead") >= 0) return OPUS_RATE;
  const vorbis = find(view, "\x01vorbis");
  return vorbis >= 0 && vorbis + 16 <= view.byteLength ? view.getUint32(vorbis + 12, true) : null;
}

/** MP4, M4A, QuickTime: the sample entry of the first sound track. */
function mp4(view: DataView): number | null {
  if (!at(view, 4, "ftyp") && !at(view, 4, "moov") && !at(view, 4, "mdat")) return null;
  const entry = find(view, "mp4a", view.byteLength);
  if (entry < 0 || entry + 32 > view.byteLength) return null;
  return view.getUint32(entry + 28) >>> 16; // 16.16, the integer part
}

/** MP3, and AAC in ADTS, with or without an ID3 tag. */
function mpeg(view: DataView): number | null {
  let start = 0;
  if (at(view, 0, "ID3") && view.byteLength > 10) {
    start = 10;
    for (let i = 0, size = 0; i < 4; i++) {
      size = (size << 7) | (view.getUint8(6 + i) & 0x7f);
      if (i === 3) start += size;
    }
  }
  for (let i = start; i + 4 < Math.min(view.byteLength, start + HEAD); i++) {
    if (view.getUint8(i) !== 0xff || (view.getUint8(i + 1) & 0xe0) !== 0xe0) continue;
    const [second, third] = [view.getUint8(i + 1), view.getUint8(i + 2)];
    if ((second & 0xf6) === 0xf0) return ADTS_RATES[(third >> 2) & 0x0f] ?? null;
    const version = (second >> 3) & 3; // 3: MPEG 1, 2: MPEG 2, 0: MPEG 2.5
    const rate = MPEG_RATES[(third >> 2) & 3];
    if (version !== 1 && ((second >> 1) & 3) !== 0 && third >> 4 !== 15 && rate)
      return rate / (version === 3 ? 1 : version === 2 ? 2 : 4);
  }
  return null;
}

function at(view: DataView, offset: number, letters: string): boolean {
  if (offset + letters.length > view.byteLength) return false;
  for (let i = 0; i < letters.length; i++) if (view.getUint8(offset + i) !== letters.charCodeAt(i)) return false;
  return true;
}

function find(view: DataView, letters: string, within = HEAD): number {
  const end = Math.min(view.byteLength, within) - letters.length;
  for (let i = 0; i <= end; i++) if (at(view, i, letters)) return i;
  return -1;
}
