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
  // MPEG frames have no header of the file, so they are looked for last: any data may contain their few bits.
  const read = [flac, ogg, wav, matroska, mp4, mpeg].find(({ is }) => is(view))?.rate;
  const rate = read?.(view) ?? OPUS_RATE;
  return isPlausible(rate) ? rate : OPUS_RATE;
}

function isPlausible(rate: number): boolean {
  return rate >= 1000 && rate <= 384000;
}

interface Container {
  is: (view: DataView) => boolean;
  rate: (view: DataView) => number | null;
}

const flac: Container = {
  is: (view) => at(view, 0, "fLaC"),
  rate: (view) => streamInfoRate(view, 8),
};

const ogg: Container = {
  is: (view) => at(view, 0, "OggS"),
  rate: (view) => {
    const vorbis = find(view, "\x01vorbis");
    if (vorbis >= 0) return uint32(view, vorbis + 12, true);
    const flac = find(view, "\x7fFLAC");
    return flac >= 0 ? streamInfoRate(view, flac + 17) : OPUS_RATE;
  },
};

/** WAV with a codec that only the browser decodes. */
const wav: Container = {
  is: (view) => at(view, 0, "RIFF") && at(view, 8, "WAVE"),
  rate: (view) => {
    const format = find(view, "fmt ");
    return format >= 0 ? uint32(view, format + 12, true) : null;
  },
};

/** WebM and Matroska (RFC 9559): the element SamplingFrequency of a track that is not Opus. */
const matroska: Container = {
  is: (view) => at(view, 0, "\x1a\x45\xdf\xa3"),
  rate: (view) => {
    if (find(view, "A_OPUS") >= 0) return OPUS_RATE;
    const codec = find(view, "A_");
    if (codec < 0) return null;
    // It is a float of 4 or 8 bytes, which stands near the codec's name, before or after it.
    for (let i = Math.max(codec - 512, 0); i + 10 <= Math.min(view.byteLength, codec + 512); i++) {
      const size = at(view, i, "\xb5\x84") ? 4 : at(view, i, "\xb5\x88") ? 8 : 0;
      const rate = size === 4 ? view.getFloat32(i + 2) : size === 8 ? view.getFloat64(i + 2) : 0;
      if (isPlausible(rate) && rate % 1 === 0) return rate;
    }
    return null;
  },
};

/** MP4, M4A, QuickTime: the sample entry of the first sound track. */
const mp4: Container = {
  is: (view) => at(view, 4, "ftyp") || at(view, 4, "moov") || at(view, 4, "mdat"),
  rate: (view) => {
    // The descriptions of the tracks: other data may contain the codecs' names too.
    for (let i = find(view, "stsd", view.byteLength); i >= 0; i = find(view, "stsd", view.byteLength, i + 4)) {
      const entry = i + 12; // after version, flags and the number of entries: size, then name
      if (at(view, entry + 4, "Opus")) return OPUS_RATE;
      if (at(view, entry + 4, "fLaC")) return streamInfoRate(view, find(view, "dfLa", view.byteLength, entry) + 12);
      const rate = at(view, entry + 4, "mp4a") ? uint32(view, entry + 32, false) : null;
      if (rate !== null) return rate >>> 16; // 16.16, the integer part
    }
    return null;
  },
};

/** MP3, and AAC in ADTS, with or without an ID3 tag. */
const mpeg: Container = {
  is: () => true,
  rate: (view) => {
    let start = 0;
    if (at(view, 0, "ID3") && view.byteLength > 10) {
      start = 10;
      for (let i = 0, size = 0; i < 4; i++) {
        size = (size << 7) | (view.getUint8(6 + i) & 0x7f);
        if (i === 3) start += size;
      }
    }
    for (let i = start; i + 6 < Math.min(view.byteLength, start + HEAD); i++) {
      const found = frame(view, i);
      // A header counts if another of the same rate follows where its frame ends, or nothing does.
      const next = found && i + found.size;
      if (found && next && (next + 6 >= view.byteLength || frame(view, next)?.rate === found.rate)) return found.rate;
    }
    return null;
  },
};

const LAYER_3_KBITS = {
  1: [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
  2: [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
};

/** Rate in Hz and size in bytes of the frame of MP3 or ADTS that starts at `i`. */
function frame(view: DataView, i: number): { rate: number; size: number } | null {
  if (i + 6 >= view.byteLength || view.getUint8(i) !== 0xff || (view.getUint8(i + 1) & 0xe0) !== 0xe0) return null;
  const [second, third] = [view.getUint8(i + 1), view.getUint8(i + 2)];
  if ((second & 0xf6) === 0xf0) {
    const size = ((view.getUint8(i + 3) & 3) << 11) | (view.getUint8(i + 4) << 3) | (view.getUint8(i + 5) >> 5);
    const rate = ADTS_RATES[(third >> 2) & 0x0f];
    return rate && size > 6 ? { rate, size } : null;
  }
  const version = (second >> 3) & 3; // 3: MPEG 1, 2: MPEG 2, 0: MPEG 2.5
  if (version === 1 || ((second >> 1) & 3) !== 1) return null; // only layer III is common enough
  const rate = MPEG_RATES[(third >> 2) & 3] / (version === 3 ? 1 : version === 2 ? 2 : 4);
  const kbits = LAYER_3_KBITS[version === 3 ? 1 : 2][third >> 4];
  if (!rate || !kbits) return null;
  return { rate, size: Math.floor(((version === 3 ? 144_000 : 72_000) * kbits) / rate) + ((third >> 1) & 1) };
}

/** The 20 bits of a FLAC stream's rate, from where STREAMINFO starts. */
function streamInfoRate(view: DataView, start: number): number | null {
  const word = uint32(view, start + 10, false);
  return word === null ? null : word >>> 12;
}

function uint32(view: DataView, offset: number, little: boolean): number | null {
  return offset + 4 <= view.byteLength ? view.getUint32(offset, little) : null;
}

/** Whether these letters, one byte each, stand at an offset. */
export function at(view: DataView, offset: number, letters: string): boolean {
  if (offset + letters.length > view.byteLength) return false;
  for (let i = 0; i < letters.length; i++) if (view.getUint8(offset + i) !== letters.charCodeAt(i)) return false;
  return true;
}

/** Where these letters first occur; -1 if they do not, among the first bytes or within `within`. */
export function find(view: DataView, letters: string, within = HEAD, from = 0): number {
  const end = Math.min(view.byteLength, within) - letters.length;
  for (let i = from; i <= end; i++) if (at(view, i, letters)) return i;
  return -1;
}
