"""Damaged and cut recordings, the times of containers, and the choice of a track."""

import io
import struct
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from emocatcher import audio
from emocatcher.foundation.errors import DecodeError

RATE = 48_000
SECONDS = 12.0


def chirp(seconds=SECONDS, rate=RATE):
    """A sound that differs at every moment, so that its position can be found again."""
    time_s = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(3).normal(0, 0.03, len(time_s))
    return (0.3 * np.sin(2 * np.pi * (150 + 40 * np.sin(0.7 * time_s)) * time_s) + noise).astype(np.float32)


def packed(container, codec, parts=None, *, rate=RATE, options=None, film=False, n_tracks=1, default=0) -> bytes:
    """Encode parts as (start_s, samples) into a container; track k is k times quieter."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "recording")  # to move its header to the front, FFmpeg opens a file again
        _pack(path, container, codec, parts, rate, options or {}, film, n_tracks, default)
        return path.read_bytes()


def _pack(path, container, codec, parts, rate, options, film, n_tracks, default):
    with av.open(str(path) if isinstance(path, Path) else path, "w", format=container, options=options) as output:
        video = output.add_stream("mpeg4", rate=25) if film else None
        if video is not None:
            video.width = video.height = 32
        tracks = [output.add_stream(codec, rate=rate) for _ in range(n_tracks)]
        for k, track in enumerate(tracks):
            track.layout = "mono"
            if codec not in ("flac", "pcm_s16le"):
                track.bit_rate = 12_200 if "amr" in codec else 64_000
            track.disposition = av.stream.Disposition.default if k == default else 0
        if video is not None:
            for number in range(25):
                frame = av.VideoFrame(32, 32, "yuv420p")
                frame.pts, frame.time_base = number, Fraction(1, 25)
                output.mux(video.encode(frame))
            output.mux(video.encode(None))
        for start_s, samples in parts or [(0.0, chirp(rate=rate))]:
            for first in range(0, len(samples) - 959, 960):
                for k, track in enumerate(tracks):
                    content = samples[None, first : first + 960] / (k + 1)
                    kind = track.codec_context.format.name
                    if kind.startswith("s"):
                        scale = np.iinfo(f"int{kind[1:3]}")
                        content = (content.astype(np.float64) * scale.max).astype(scale.dtype)
                    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(content), format=kind, layout="mono")
                    frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
                    frame.pts = round(start_s * rate) + first
                    output.mux(track.encode(frame))
        for track in tracks:
            output.mux(track.encode(None))


def stored(kind, subtype=None, rate=RATE, **options) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, chirp(rate=rate), rate, format=kind, subtype=subtype, **options)
    return buffer.getvalue()


FORMATS = {
    "wav": lambda: stored("WAV", "PCM_16"),
    "adpcm": lambda: stored("WAV", "IMA_ADPCM"),
    "aiff": lambda: stored("AIFF", "PCM_16"),
    "au": lambda: stored("AU", "PCM_16"),
    "w64": lambda: stored("W64", "PCM_16"),
    "rf64": lambda: stored("RF64", "PCM_16"),
    "caf": lambda: stored("CAF", "PCM_16"),
    "flac": lambda: stored("FLAC"),
    "vorbis": lambda: stored("OGG", "VORBIS", 44_100),
    "opus": lambda: stored("OGG", "OPUS"),
    "mp3": lambda: stored("MP3", bitrate_mode="CONSTANT", compression_level=0.5),
    "mp3 without length": lambda: packed("mp3", "libmp3lame", options={"write_xing": "0", "id3v2_version": "0"}),
    "aac": lambda: packed("adts", "aac"),
    "m4a": lambda: packed("ipod", "aac", options={"movflags": "faststart"}),
    "fragmented mp4": lambda: packed(
        "mp4", "aac", options={"movflags": "empty_moov+frag_keyframe", "frag_duration": "500000"}
    ),
    "webm": lambda: packed("webm", "libopus"),
    "live webm": lambda: packed("webm", "libopus", options={"live": "1"}),
    "matroska": lambda: packed("matroska", "flac"),
    "amr": lambda: packed("amr", "libopencore_amrnb", rate=8_000),
    "3gp": lambda: packed("3gp", "libopencore_amrnb", rate=8_000, options={"movflags": "faststart"}),
    "wma": lambda: packed("asf", "wmav2", rate=44_100),
    "avi": lambda: packed("avi", "libmp3lame"),
    "avi with samples": lambda: packed("avi", "pcm_s16le"),
    "flv": lambda: packed("flv", "aac", rate=44_100),
}
# A byte of PCM is a valid sample whatever it is, and these have no checksum.
UNCHECKED = {"wav", "adpcm", "aiff", "au", "w64", "rf64", "caf", "amr", "3gp", "avi with samples"}
_made: dict[str, bytes] = {}


def made(name) -> bytes:
    if name not in _made:
        try:
            _made[name] = FORMATS[name]()
        except av.codec.codec.UnknownCodecError:
            pytest.skip("this build of PyAV cannot make it")
    return _made[name]


def zeroed(payload: bytes, at: float, n_bytes: int) -> bytes:
    first = int(at * len(payload))
    return payload[:first] + bytes(n_bytes) + payload[first + n_bytes :]


def delay_s(reference, waveform, rate, at_s) -> float:
    """How much later half a second of the reference occurs in the waveform, within two seconds."""
    n, first = rate // 2, round(at_s * rate)
    part = reference[first : first + n]
    low = max(first - 2 * rate, 0)
    around = waveform[low : first + n + 2 * rate]
    size = len(around) + n
    products = np.fft.irfft(np.fft.rfft(around, size) * np.fft.rfft(part, size).conj())[: len(around) - n]
    return (low + int(products.argmax()) - first) / rate


@pytest.mark.parametrize("name", FORMATS)
def test_a_whole_recording_is_neither_truncated_nor_damaged(name):
    recording = audio.read(made(name))
    assert not recording.truncated
    assert recording.lost == ()
    assert len(recording.waveform) / recording.sample_rate == pytest.approx(SECONDS, abs=0.2)


@pytest.mark.parametrize("share", [0.5, 0.9])
@pytest.mark.parametrize("name", FORMATS)
def test_a_recording_that_breaks_off_is_reported(name, share):
    payload = made(name)
    whole = audio.read(payload).waveform
    cut = audio.read(payload[: int(share * len(payload)) + 3])
    assert cut.truncated
    assert (share - 0.2) * len(whole) < len(cut.waveform) < len(whole)


@pytest.mark.parametrize("name", sorted(FORMATS.keys() - UNCHECKED))
def test_a_damaged_part_is_silent_and_reported_and_later_times_stay(name):
    payload = made(name)
    whole = audio.read(payload)
    rate = whole.sample_rate
    damaged = audio.read(zeroed(payload, 0.4, 1000))
    lost_s = sum(end_s - start_s for start_s, end_s in damaged.lost)
    assert 0.0 < lost_s < 6.0
    assert not damaged.truncated
    assert 3.0 < damaged.lost[0][0] < damaged.lost[-1][1] < 11.0
    assert delay_s(whole.waveform, damaged.waveform, rate, 1.0) == pytest.approx(0.0, abs=0.001)
    assert delay_s(whole.waveform, damaged.waveform, rate, 11.2) == pytest.approx(0.0, abs=0.02)
    assert len(damaged.waveform) == pytest.approx(len(whole.waveform), abs=0.02 * rate)
    start, end = (round(time_s * rate) for time_s in damaged.lost[0])
    assert np.abs(damaged.waveform[start + 10 : end - 10]).max(initial=0.0) < 0.01


def test_many_damaged_packets_do_not_end_a_recording():
    payload = bytearray(made("aac"))
    for at in np.linspace(0.1, 0.9, 30):
        first = int(at * len(payload))
        payload[first : first + 100] = bytes(100)
    recording = audio.read(bytes(payload))
    assert len(recording.waveform) / RATE == pytest.approx(SECONDS, abs=0.3)
    assert len(recording.lost) > 10


def test_a_header_of_another_rate_amid_an_mp3_is_damage():
    payload = bytearray(made("mp3 without length"))
    frame = len(payload) // 2 // 192 * 192  # all frames have 192 bytes
    assert payload[frame : frame + 2] == payload[:2]
    payload[frame + 2] ^= 0x04  # the bits of the sample rate
    recording = audio.read(bytes(payload))
    assert recording.native_rate == RATE
    assert len(recording.waveform) / RATE == pytest.approx(SECONDS, abs=0.2)
    assert recording.lost


READ_ON = ["mp3", "mp3 without length", "aac", "flac", "vorbis", "opus", "webm", "live webm", "matroska"]
READ_ON += ["amr", "avi", "avi with samples"]


@pytest.mark.parametrize("name", READ_ON)
def test_two_joined_files_are_read_to_the_end(name):
    payload = made(name)
    recording = audio.read(payload + payload)
    assert len(recording.waveform) / recording.sample_rate == pytest.approx(2 * SECONDS, abs=0.2)
    assert (recording.truncated, recording.lost, recording.n_unread) == (False, (), 0)


@pytest.mark.parametrize("name", sorted(FORMATS.keys() - set(READ_ON)))
def test_what_is_not_read_of_joined_files_is_counted(name):
    payload = made(name)
    recording = audio.read(payload + payload)
    assert (recording.truncated, recording.lost, recording.n_unread) == (False, (), len(payload))


@pytest.mark.parametrize("other", ["aiff", "flac", "m4a", "mp3", "opus"])
@pytest.mark.parametrize("name", ["wav", "au", "caf", "m4a", "flac", "vorbis", "opus"])
def test_what_is_not_read_of_joined_files_of_two_formats_is_counted(name, other):
    behind = made(other)  # once: an encoder need not give the same bytes again
    if name != other:
        assert audio.read(made(name) + behind).n_unread == len(behind)


@pytest.mark.parametrize("is_path", [False, True])
@pytest.mark.parametrize("seconds", [2.0, 14.0])
def test_of_joined_fragmented_mp4_files_only_the_first_is_read(seconds, is_path, tmp_path):
    first = made("fragmented mp4")
    options = {"movflags": "empty_moov+frag_keyframe", "frag_duration": "500000"}
    second = packed("mp4", "aac", [(0.0, chirp(seconds)[::-1])], options=options)
    (tmp_path / "joined.mp4").write_bytes(first + second)
    recording = audio.read(tmp_path / "joined.mp4" if is_path else first + second)
    assert (recording.truncated, recording.lost, recording.n_unread) == (False, (), len(second))
    np.testing.assert_array_equal(recording.waveform, audio.read(first).waveform)


@pytest.mark.parametrize("kind", ["FLAC", "MP3"])
def test_joined_files_of_two_sample_rates_are_refused(kind):
    with pytest.raises(DecodeError, match="changes its sample rate from 48000 to 22050 Hz"):
        audio.read(stored(kind) + stored(kind, rate=22_050))


def test_an_ogg_whose_second_part_has_another_rate_is_not_taken_for_cut():
    first, second = stored("OGG", "VORBIS", 44_100), stored("OGG", "VORBIS", 22_050)
    recording = audio.read(first + second)
    assert (recording.truncated, recording.n_unread) == (False, len(second))


def test_a_wavpack_whose_second_part_has_more_channels_is_not_taken_for_cut():
    mono, stereo = io.BytesIO(), io.BytesIO()
    for sink, layout in ((mono, "mono"), (stereo, "stereo")):
        with av.open(sink, "w", format="wv") as output:
            track = output.add_stream("wavpack", rate=RATE, layout=layout)
            content = np.repeat(chirp(3.0)[None], 1 + (layout == "stereo"), axis=0)
            frame = av.AudioFrame.from_ndarray(content, format="fltp", layout=layout)
            frame.sample_rate = RATE
            output.mux([*track.encode(frame), *track.encode(None)])
    recording = audio.read(mono.getvalue() + stereo.getvalue())
    assert len(recording.waveform) == 3 * RATE
    assert not recording.truncated
    assert recording.n_unread == pytest.approx(len(stereo.getvalue()), abs=100)


@pytest.mark.parametrize("name", ["wav", "rf64", "aiff", "au"])
def test_the_rest_is_counted_if_the_header_declares_half_of_the_samples(name):
    payload = bytearray(made(name))
    n_samples = round(SECONDS * RATE) * 2
    order = "little" if name in ("wav", "rf64") else "big"
    extra = 8 if name == "aiff" else 0
    size, width = (n_samples + extra).to_bytes(8, order), 8 if name == "rf64" else 4
    size = size[:width] if order == "little" else size[-width:]
    at = payload.index(size)
    payload[at : at + width] = (n_samples // 2 + extra).to_bytes(width, order)
    recording = audio.read(bytes(payload))
    assert len(recording.waveform) == SECONDS * RATE / 2
    assert recording.n_unread == pytest.approx(n_samples // 2, abs=8)


TAILS = {
    "ID3v1": b"TAG" + bytes(125),
    "APE": b"APETAGEX" + struct.pack("<IIII8x", 2000, 3000, 1, 0) + bytes(range(1, 251)) * 12,
    "ID3v2": b"ID3\x04\0\0\0\0\x0f\x76" + bytes(range(1, 255)) * 8,
    "zeros": bytes(4000),
    "zeros and ID3v1": bytes(4000) + b"TAG" + bytes(125),
    "few bytes": b"end of file",
}


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("name", sorted(FORMATS.keys() - {"amr", "wma"}))
def test_tags_and_padding_behind_a_recording_are_not_missed(name, tail):
    if tail == "few bytes" and name in ("vorbis", "opus", "webm", "live webm", "matroska", "aac", "mp3 without length"):
        pytest.skip("these may be the beginning of a page, an element or a frame")
    whole, recording = audio.read(made(name)), audio.read(made(name) + TAILS[tail])
    assert (recording.truncated, recording.lost, recording.n_unread) == (False, (), 0)
    assert len(recording.waveform) == pytest.approx(len(whole.waveform), abs=0.05 * whole.sample_rate)


@pytest.mark.parametrize("name", ["wav", "webm"])
def test_many_tags_behind_a_recording_take_no_time(name):
    payload = made(name) + (b"TAG" + bytes(125)) * 400_000
    started = time.process_time()
    audio.read(payload)
    assert time.process_time() - started < 5.0


def test_chunks_behind_the_samples_are_not_missed():
    chunk = b"LIST" + (3000).to_bytes(4, "little") + b"INFO" + bytes(range(1, 108)) * 28
    chunk += b"id3 " + (2000).to_bytes(4, "little") + b"\xff" * 2000
    assert audio.read(made("wav") + chunk).n_unread == 0


def test_a_tag_between_joined_mp3_files_is_no_damage():
    recording = audio.read(made("mp3") + TAILS["ID3v1"] + TAILS["ID3v2"] + made("mp3"))
    assert len(recording.waveform) / RATE == pytest.approx(2 * SECONDS, abs=0.2)
    assert (recording.truncated, recording.lost) == (False, ())


@pytest.mark.parametrize("name", ["mp3", "mp3 without length", "aac", "flac", "vorbis", "opus", "live webm"])
def test_a_recording_whose_second_half_is_zeros_is_truncated(name):
    payload = made(name)
    half = audio.read(payload[: len(payload) // 2] + bytes(len(payload) // 2))
    assert half.truncated
    assert len(half.waveform) / half.sample_rate == pytest.approx(SECONDS / 2, abs=1.2)


@pytest.mark.parametrize("name", ["wav", "w64", "flac", "vorbis", "opus", "mp3", "m4a", "webm"])
def test_zeros_after_a_recording_of_known_length_are_not_missed(name):
    whole, recording = audio.read(made(name)), audio.read(made(name) + bytes(100_000))
    assert (recording.truncated, recording.lost, recording.n_unread) == (False, (), 0)
    assert len(recording.waveform) == pytest.approx(len(whole.waveform), abs=0.01 * whole.sample_rate)


def test_the_notes_of_mp3_decoders_do_not_reach_stderr(capfd):
    for payload in (made("mp3")[:-100], zeroed(made("mp3"), 0.5, 4096), zeroed(made("mp3 without length"), 0.1, 5000)):
        audio.read(payload)
    assert capfd.readouterr() == ("", "")


# Placeholders for a length that was not known


@pytest.mark.parametrize("size", [0, 0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFF - 36, 0x7FFFF024])
@pytest.mark.parametrize("subtype", ["PCM_16", "ULAW", "FLOAT"])
def test_a_wav_from_a_pipe_is_read_to_its_end_and_not_truncated(size, subtype):
    payload = stored("WAV", subtype)
    data = payload.index(b"data") + 4
    unknown = size.to_bytes(4, "little")
    piped = payload[:4] + unknown + payload[8:data] + unknown + payload[data + 4 :]
    recording = audio.read(piped)
    np.testing.assert_array_equal(recording.waveform, audio.read(payload).waveform)
    assert not recording.truncated


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
@pytest.mark.parametrize("as_path", [False, True])
def test_an_au_of_unknown_length_is_read_to_its_end(tmp_path, size, as_path):
    payload = made("au")
    piped = payload[:8] + size.to_bytes(4, "big") + payload[12:]
    path = tmp_path / "sound.au"
    path.write_bytes(piped)
    recording = audio.read(path if as_path else piped)
    np.testing.assert_array_equal(recording.waveform, audio.read(payload).waveform)
    assert (recording.truncated, recording.n_unread) == (False, 0)


def test_a_large_size_that_is_no_placeholder_is_truncated():
    payload = stored("WAV", "PCM_16")
    data = payload.index(b"data") + 4
    assert audio.read(payload[:data] + (3_000_000_001).to_bytes(4, "little") + payload[data + 4 :]).truncated


def test_an_aiff_and_a_flac_from_a_pipe_are_not_truncated():
    aiff, flac = bytearray(stored("AIFF", "PCM_16")), bytearray(stored("FLAC"))
    size = aiff.index(b"SSND") + 4
    aiff[size : size + 4] = aiff[4:8] = (0x7F000008).to_bytes(4, "big")
    flac[21] &= 0xF0
    flac[22:26] = bytes(4)
    for payload in (aiff, flac):
        recording = audio.read(bytes(payload))
        assert not recording.truncated
        assert len(recording.waveform) == SECONDS * RATE


@pytest.mark.parametrize(("kind", "options"), [("w64", {}), ("wav", {"rf64": "always"})])
def test_a_long_format_from_a_pipe_is_read(kind, options, tmp_path):
    class Pipe:
        def __init__(self):
            self.content = b""

        def write(self, part):
            self.content += bytes(part)
            return len(part)

    pipe = Pipe()
    _pack(pipe, kind, "pcm_s16le", None, RATE, options, film=False, n_tracks=1, default=0)
    (tmp_path / "piped").write_bytes(pipe.content)
    for source in (pipe.content, tmp_path / "piped"):
        recording = audio.read(source)
        assert len(recording.waveform) == SECONDS * RATE
        assert np.abs(recording.waveform - audio.read(made("wav")).waveform).max() < 1e-4
        assert (recording.truncated, recording.n_unread) == (False, 0)


def test_block_lengths_of_adpcm_are_not_taken_for_a_missing_end():
    payload = bytearray(stored("WAV", "IMA_ADPCM", 16_000))
    payload[28:32] = (16_000).to_bytes(4, "little")  # bytes per second, which FFmpeg writes wrongly
    assert not audio.read(bytes(payload)).truncated


# Times of containers


@pytest.mark.parametrize(
    ("container", "codec"),
    [("matroska", "aac"), ("mp4", "aac"), ("webm", "libopus"), ("mpegts", "aac"), ("flv", "aac"), ("ogg", "libopus")],
)
def test_a_pause_in_a_container_keeps_later_times(container, codec):
    rate = 44_100 if container == "flv" else RATE
    sound = chirp(6.0, rate)
    half = len(sound) // 2
    recording = audio.read(packed(container, codec, [(0.0, sound[:half]), (5.0, sound[half:])], rate=rate))
    joined = np.concatenate([sound[:half], np.zeros(2 * rate, np.float32), sound[half:]])
    assert (recording.truncated, recording.lost) == (False, ())
    assert len(recording.waveform) / rate == pytest.approx(8.0, abs=0.06)
    # An encoder without a container to note its delay shifts all.
    assert delay_s(joined, recording.waveform, rate, 1.0) == pytest.approx(0.0, abs=0.03)
    assert delay_s(joined, recording.waveform, rate, 6.5) == pytest.approx(0.0, abs=0.05)


def test_a_pause_in_a_long_ogg_keeps_later_times():
    sound = chirp(40.0)
    half = len(sound) // 2
    payload = packed("ogg", "libopus", [(0.0, sound[:half]), (25.0, sound[half:])])
    joined = np.concatenate([sound[:half], np.zeros(5 * RATE, np.float32), sound[half:]])
    waveform = np.concatenate(list(audio.blocks(payload, block_s=10.0)))
    assert len(waveform) / RATE == pytest.approx(45.0, abs=0.06)
    assert delay_s(joined, waveform, RATE, 40.0) == pytest.approx(0.0, abs=0.02)


@pytest.mark.parametrize(("container", "codec"), [("matroska", "aac"), ("mp4", "aac"), ("webm", "libopus")])
@pytest.mark.parametrize("film", [False, True])
def test_a_late_start_counts(container, codec, film):
    if film and container == "webm":
        pytest.skip("WebM has no MPEG-4 video")
    recording = audio.read(packed(container, codec, [(2.0, chirp(3.0))], film=film))
    assert np.abs(recording.waveform[: int(1.9 * RATE)]).max() < 1e-3  # without offset
    assert len(recording.waveform) / RATE == pytest.approx(5.0, abs=0.05)


def test_a_stream_that_was_joined_after_an_hour_does_not_start_with_silence():
    waveform, _ = audio.load(packed("webm", "libopus", [(3600.0, chirp(3.0))]))
    assert len(waveform) / RATE == pytest.approx(3.0, abs=0.05)


@pytest.mark.parametrize("start_s", [3.0, 30.0, 1200.0, 5000.0])
@pytest.mark.parametrize("codec", ["flac", "libopus"])
def test_an_ogg_whose_time_begins_late_has_no_silence_and_keeps_all_times(codec, start_s):
    sound = chirp(8.0)
    payload = packed("ogg", codec, [(start_s, sound)])
    for waveform in (audio.load(payload)[0], np.concatenate(list(audio.blocks(payload, block_s=3.0)))):
        assert len(waveform) / RATE == pytest.approx(8.0, abs=0.01)
        for at_s in (0.2, 3.5, 7.0):  # the first page has about a second
            assert delay_s(sound, waveform, RATE, at_s) == pytest.approx(0.0, abs=0.001)


def test_a_late_ogg_flac_whose_first_page_is_damaged_has_no_silence():
    payload = bytearray(packed("ogg", "flac", [(1200.0, chirp(8.0))]))
    at = payload.index(b"OggS", 400) - 5000
    payload[at : at + 1000] = bytes(1000)
    assert len(audio.load(bytes(payload))[0]) / RATE == pytest.approx(8.0, abs=1.2)


def test_a_pause_behind_the_first_page_of_an_ogg_flac_is_kept():
    sound = chirp(6.0)
    recording = audio.read(packed("ogg", "flac", [(0.0, sound[: 3 * RATE]), (5.0, sound[3 * RATE :])]))
    assert len(recording.waveform) / RATE == pytest.approx(8.0, abs=0.1)


@pytest.mark.parametrize("start_s", [20.0, 600.0])
@pytest.mark.parametrize(
    ("container", "codec", "rate"),
    [("webm", "libopus", RATE), ("matroska", "flac", RATE), ("asf", "wmav2", 44_100), ("flv", "aac", 44_100)],
)
def test_a_recording_whose_time_begins_late_is_truncated_only_if_it_breaks_off(container, codec, rate, start_s):
    payload = packed(container, codec, [(start_s, chirp(6.0, rate))], rate=rate)
    assert not audio.read(payload).truncated
    assert audio.read(payload[: len(payload) // 2]).truncated


def test_short_steps_in_time_are_not_filled():
    waveform, _ = audio.load(packed("webm", "libopus", [(0.0, chirp(2.0)), (2.03, chirp(2.0))]))
    assert len(waveform) / RATE == pytest.approx(4.0, abs=0.01)


def test_a_few_packets_cannot_declare_days_of_silence():
    parts = [(3000.0 * k, chirp(0.1)) for k in range(40)]
    n_samples = sum(len(block) for block in audio.blocks(packed("matroska", "flac", parts, rate=8_000), block_s=60.0))
    assert n_samples < 4.2 * 3600 * 8_000


# Tracks


@pytest.mark.parametrize("default", [0, 1])
@pytest.mark.parametrize("container", ["matroska", "mp4"])
def test_the_default_track_is_read(container, default):
    payload = packed(container, "aac", n_tracks=2, default=default)
    expected = np.std(chirp()) / (default + 1)
    assert np.std(audio.load(payload)[0]) == pytest.approx(expected, rel=0.1)


def test_a_size_beyond_the_largest_offset_ends_at_the_end_of_the_file(tmp_path, capfd):
    description = b"desc" + struct.pack(">qd4s5I", 32, 16_000.0, b"lpcm", 0, 2, 1, 1, 16)
    whole = b"caff\0\1\0\0" + description + b"data" + struct.pack(">QI", 1 << 62, 0) + bytes(3200)
    (tmp_path / "forged.caf").write_bytes(whole)
    for source in (tmp_path / "forged.caf", whole):
        assert len(audio.load(source)[0]) == 1600
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("suffix", ["ul", "al", "sw", "sb", "ub"])
def test_raw_sound_whose_rate_is_not_known_is_refused(tmp_path, suffix):
    path = tmp_path / f"call.{suffix}"
    path.write_bytes(np.random.default_rng(0).integers(0, 256, 40_000, np.uint8).tobytes())
    with pytest.raises(DecodeError, match=r"raw sound without a header.*ffmpeg -f mulaw -ar 8000"):
        audio.read(path)


@pytest.mark.parametrize("container", ["mp4", "matroska"])
def test_eight_channels_are_read(tmp_path, container):
    voice, path = chirp(2.0), tmp_path / "surround"
    with av.open(str(path), "w", format=container) as output:
        stream = output.add_stream("aac", rate=RATE, layout="7.1")
        # One frame of samples one after the other, as PyAV cannot fill eight planes either.
        frame = av.AudioFrame.from_ndarray(np.repeat(voice, 8)[None], format="flt", layout="7.1")
        frame.sample_rate = RATE
        for packet in (*stream.encode(frame), *stream.encode(None)):
            output.mux(packet)
    recording = audio.read(path)
    assert len(recording.waveform) == pytest.approx(2.0 * RATE, abs=4096)
    middle = slice(RATE // 2, RATE)
    spectra = (np.abs(np.fft.rfft(one[middle])) for one in (recording.waveform, voice))
    assert np.corrcoef(*spectra)[0, 1] > 0.9


def test_a_file_with_two_chunks_of_sound_is_refused():
    sink = io.BytesIO()
    soundfile.write(sink, chirp(1.0), RATE, format="WAV", subtype="PCM_16")
    payload = sink.getvalue() + b"data" + (10_000).to_bytes(4, "little") + b"\1\0" * 5000
    payload = payload[:4] + (len(payload) - 8).to_bytes(4, "little") + payload[8:]
    with pytest.raises(DecodeError, match="two chunks of sound"):
        audio.read(payload)


def test_without_speech_the_number_of_sound_tracks_is_stated():
    from emocatcher.recognition.recognizer import load

    silent = packed("matroska", "flac", [(0.0, np.zeros(3 * RATE, np.float32))], n_tracks=2)
    for path in (silent, (np.zeros(3 * RATE, np.float32), RATE)):
        (caution,) = (one for one in load().predict(path).warnings if one.code == "no-speech")
        assert ("Of 2 sound tracks, only the default one was read" in caution.message) == isinstance(path, bytes)
