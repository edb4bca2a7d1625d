/**
 * Opus starts with some milliseconds of the encoder's own (RFC 7845, 4.2). A decoder leaves them out by the header of
 * the stream; WebM and MP4 repeat their length, and Chromium then removes as many milliseconds of the recording too.
 */
import { at, find } from "./native_rate";

const LONGEST = 4800; // samples, 0.1 s; an edit list that skips more cuts the recording itself

/** Set the container's own note of the delay to zero, in place; the buffer of any other file stays as it is. */
export function removeOpusDelay(buffer: ArrayBuffer): void {
  const view = new DataView(buffer);
  if (at(view, 0, "\x1a\x45\xdf\xa3") && find(view, "A_OPUS") >= 0) {
    const header = find(view, "\x1f\x43\xb6\x75"); // the first cluster
    const delay = find(view, "\x56\xaa", header < 0 ? undefined : header); // CodecDelay, nanoseconds
    if (delay < 0) return;
    const size = view.getUint8(delay + 2) & 0x7f;
    if (size <= 8 && delay + 3 + size <= view.byteLength) new Uint8Array(buffer, delay + 3, size).fill(0);
  } else if (at(view, 4, "ftyp") && find(view, "dOps", view.byteLength) >= 0) {
    const edits = find(view, "elst", view.byteLength);
    // Version 0 with one entry: its duration, then the time of the sound where the recording starts.
    if (edits < 0 || edits + 20 > view.byteLength || view.getUint32(edits + 4) !== 0 || view.getUint32(edits + 8) !== 1) return;
    if (view.getUint32(edits + 16) <= LONGEST) view.setUint32(edits + 16, 0);
  }
}
