import io
import os
import pickle
import struct
import subprocess
import sys
import wave
from pathlib import Path

import av
import librosa
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from emocatcher import audio
from emocatcher.foundation.errors import AudioError, DecodeError, EmptyAudioError, NonFiniteError

RATE = 16_000
SPEECH = (0.4 * np.sin(2 * np.pi * 220 * np.arange(RATE) / RATE) * np.linspace(0.2, 1, RATE)).astype(np.float32)


def encoded(samples, file_format="WAV", subtype=None, rate=RATE) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=file_format, subtype=subtype)
    return buffer.getvalue()


def encoded_by_ffmpeg(container, codec, samples=SPEECH, rate=RATE, codec_rate=None, layout="mono") -> bytes:
    """Encode with PyAV; samples of the shape (n_samples,), or (n_samples, n_channels)."""
    buffer = io.BytesIO()
    codec_rate = codec_rate or rate
    with av.open(buffer, "w", format=container) as output:
        stream = output.add_stream(codec, rate=codec_rate)
        stream.layout = layout
        stream.bit_rate = 12_200 if "amr" in codec else 96_000
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(np.atleast_2d(samples.T)), format="fltp", layout=layout)
        frame.sample_rate = rate
        for part in (frame, None):
            output.mux(stream.encode(part))
    return buffer.getvalue()


def patched(payload: bytes, at: int, new: bytes) -> bytes:
    return payload[:at] + new + payload[at + len(new) :]


def correlation(a, b) -> float:
    """The largest normalised correlation over small delays, because encoders add a delay."""
    n = min(len(a), len(b))
    spectrum = np.fft.rfft(a[:n], 2 * n) * np.fft.rfft(b[:n], 2 * n).conj()
    return np.fft.irfft(spectrum).max() / np.sqrt((a[:n] ** 2).sum() * (b[:n] ** 2).sum())


# Formats that can be read


@pytest.mark.parametrize(
    ("subtype", "error"),
    [
        ("PCM_U8", 2**-7),
        ("PCM_16", 2**-15),
        ("PCM_24", 2**-23),
        ("PCM_32", 2**-24),
        ("FLOAT", 0),
        ("DOUBLE", 0),
        ("ULAW", 0.02),
        ("ALAW", 0.02),
        ("IMA_ADPCM", 0.05),
        ("MS_ADPCM", 0.05),
        ("GSM610", 0.2),
    ],
)
def test_reads_every_wav_encoding(subtype, error):
    waveform, rate = audio.load(encoded(SPEECH, subtype=subtype))
    assert (waveform.dtype, waveform.ndim, rate) == (np.float32, 1, RATE)
    np.testing.assert_allclose(waveform[:RATE], SPEECH, atol=error)


@pytest.mark.parametrize(
    ("file_format", "subtype", "tolerance"),
    [
        ("FLAC", "PCM_16", 0.9999),
        ("FLAC", "PCM_24", 0.9999),
        ("OGG", "VORBIS", 0.99),
        ("OGG", "OPUS", 0.99),
        ("MP3", "MPEG_LAYER_III", 0.99),
        ("AIFF", "PCM_16", 0.9999),
        ("AU", "PCM_16", 0.9999),
        ("CAF", "PCM_16", 0.9999),
        ("W64", "PCM_16", 0.9999),
        ("RF64", "PCM_16", 0.9999),
        ("WAVEX", "PCM_16", 0.9999),
    ],
)
def test_reads_every_format_of_libsndfile(file_format, subtype, tolerance, tmp_path):
    payload = encoded(SPEECH, file_format, subtype)
    path = tmp_path / "clip.of-any-name"
    path.write_bytes(payload)
    from_path, rate = audio.load(path)
    assert from_path.dtype == np.float32
    assert len(from_path) == pytest.approx(RATE * rate / RATE, abs=0.1 * rate)
    assert correlation(from_path, SPEECH) > tolerance
    for source in (payload, str(path)):
        np.testing.assert_array_equal(audio.load(source)[0], from_path)


@pytest.mark.parametrize(
    ("container", "codec", "codec_rate"),
    [
        ("ipod", "aac", 16_000),  # m4a
        ("ipod", "alac", 16_000),
        ("mp4", "aac", 44_100),
        ("adts", "aac", 16_000),
        ("webm", "opus", 48_000),  # browsers
        ("matroska", "opus", 48_000),
        ("asf", "wmav2", 44_100),  # wma
        ("aiff", "pcm_s16be", 16_000),
        ("amr", "amr_nb", 8_000),  # old phones
        ("3gp", "amr_nb", 8_000),
    ],
)
def test_reads_formats_of_phones_and_browsers(container, codec, codec_rate, tmp_path):
    codec = {"opus": "libopus", "amr_nb": "libopencore_amrnb"}.get(codec, codec)
    try:
        av.Codec(codec, "w")
    except av.codec.codec.UnknownCodecError:
        pytest.skip(f"this build of PyAV cannot make {codec}")
    samples = librosa.resample(SPEECH, orig_sr=RATE, target_sr=codec_rate)
    path = tmp_path / "clip"
    path.write_bytes(encoded_by_ffmpeg(container, codec, samples, codec_rate))
    waveform, rate = audio.load(path)
    assert (waveform.dtype, waveform.ndim, rate) == (np.float32, 1, codec_rate)
    assert len(waveform) / rate == pytest.approx(1.0, abs=0.15)
    assert correlation(waveform, samples) > (0.9 if "amr" in codec else 0.98)
    np.testing.assert_array_equal(audio.load(path.read_bytes())[0], waveform)


def test_libsndfile_and_ffmpeg_decode_the_same_samples(monkeypatch):
    payload = encoded(np.stack([SPEECH, SPEECH[::-1]], axis=1), subtype="PCM_16")
    expected, rate = audio.load(payload)

    def refuse(*_):
        raise soundfile.LibsndfileError(1)

    monkeypatch.setattr(soundfile, "SoundFile", refuse)
    again, rate_again = audio.load(payload)
    np.testing.assert_allclose(again, expected, atol=1e-7)
    assert rate_again == rate


def test_reads_the_sound_of_a_film_and_refuses_a_film_without_sound():
    def film(with_sound: bool) -> bytes:
        buffer = io.BytesIO()
        with av.open(buffer, "w", format="mp4") as output:
            video = output.add_stream("mpeg4", rate=25)
            video.width = video.height = 32
            sound = output.add_stream("aac", rate=RATE) if with_sound else None
            if sound:
                sound.layout = "mono"
            for part in (av.VideoFrame(32, 32, "yuv420p"), None):
                output.mux(video.encode(part))
            if sound:
                frame = av.AudioFrame.from_ndarray(SPEECH[None], format="fltp", layout="mono")
                frame.sample_rate = RATE
                for part in (frame, None):
                    output.mux(sound.encode(part))
        return buffer.getvalue()

    assert correlation(audio.load(film(True))[0], SPEECH) > 0.98
    with pytest.raises(DecodeError, match="no sound"):
        audio.load(film(False))


# Channels and scale


@pytest.mark.parametrize("how", ["array", "wav", "flac", "m4a"])
def test_channels_are_averaged(how):
    pair = np.stack([SPEECH, 0.5 * SPEECH], axis=1)
    sources = {
        "array": lambda: (pair, RATE),
        "wav": lambda: encoded(pair, subtype="FLOAT"),
        "flac": lambda: encoded(pair, "FLAC"),
        "m4a": lambda: encoded_by_ffmpeg("ipod", "alac", pair, layout="stereo"),
    }
    waveform, _ = audio.load(sources[how]())
    np.testing.assert_allclose(waveform[:RATE], SPEECH * 3 / 4, atol=1e-4)


def test_the_average_of_equal_channels_equals_the_channel():
    np.testing.assert_array_equal(audio.load((np.stack([SPEECH] * 2, axis=1), RATE))[0], SPEECH)


def test_an_integer_array_equals_a_file_with_the_same_samples():
    samples = np.random.default_rng(0).integers(-(2**15), 2**15, 1000).astype(np.int16)
    np.testing.assert_array_equal(audio.load((samples, RATE))[0], audio.load(encoded(samples))[0])


def test_loading_does_not_change_the_callers_array():
    samples = SPEECH.copy()
    audio.load((samples, RATE), 22_050)
    np.testing.assert_array_equal(samples, SPEECH)


# Resampling


@settings(deadline=None)
@given(n_samples=st.integers(1, 3000), source=st.sampled_from([8000, 16_000, 44_100, 48_000]))
def test_resampling_equals_librosa_at_any_length(n_samples, source):
    samples = np.random.default_rng(n_samples).normal(0, 0.1, n_samples).astype(np.float32)
    waveform, rate = audio.load((samples, source), 22_050)
    expected = librosa.resample(samples, orig_sr=source, target_sr=22_050, res_type="soxr_hq")
    assert rate == 22_050
    assert waveform.dtype == np.float32
    assert waveform.flags["C_CONTIGUOUS"]
    np.testing.assert_allclose(waveform, expected, atol=1e-6)


def test_resampling_keeps_low_tones_and_removes_tones_above_the_new_nyquist_frequency():
    time = np.arange(48_000) / 48_000
    low = audio.load((np.sin(2 * np.pi * 1000 * time), 48_000), 22_050)[0]
    high = audio.load((np.sin(2 * np.pi * 15_000 * time), 48_000), 22_050)[0]
    assert np.abs(np.fft.rfft(low)).argmax() == 1000
    assert np.abs(low[1000:-1000]).max() == pytest.approx(1.0, abs=0.01)
    assert np.abs(high[1000:-1000]).max() < 1e-3


def test_the_native_rate_is_not_resampled():
    for sample_rate in (None, RATE):
        np.testing.assert_array_equal(audio.load((SPEECH, RATE), sample_rate)[0], SPEECH)


# Segments


@pytest.mark.parametrize(
    ("start_s", "end_s", "first", "last"),
    [
        (0.25, 0.5, 4000, 8000),
        (None, 0.5, 0, 8000),
        (0.25, None, 4000, 16_000),
        (0.0, 99.0, 0, 16_000),
        (0.5, float("inf"), 8000, 16_000),
        (0.99995, None, 15_999, 16_000),
    ],
)
def test_a_segment_is_cut_before_resampling(start_s, end_s, first, last):
    waveform, _ = audio.load((SPEECH, RATE), start_s=start_s, end_s=end_s)
    np.testing.assert_array_equal(waveform, SPEECH[first:last])
    resampled, _ = audio.load((SPEECH, RATE), 22_050, start_s=start_s, end_s=end_s)
    np.testing.assert_array_equal(resampled, audio.resample(SPEECH[first:last], RATE, 22_050))


@pytest.mark.parametrize(
    ("start_s", "end_s"),
    [(-0.5, None), (0.5, 0.5), (0.5, 0.2), (None, -0.1), (float("nan"), None), (0.1, float("nan"))],
)
def test_an_invalid_segment_is_refused(start_s, end_s):
    with pytest.raises(AudioError, match="0 <= start_s < end_s"):
        audio.load((SPEECH, RATE), start_s=start_s, end_s=end_s)


@pytest.mark.parametrize("start_s", [1.0, 7.0])
def test_a_segment_after_the_end_is_refused(start_s):
    with pytest.raises(EmptyAudioError, match=r"ends at 1\.00 s"):
        audio.load((SPEECH, RATE), start_s=start_s)


# Unusable input: typed errors that name the file


def put(folder, name, payload):
    (folder / name).write_bytes(payload)


NAN = encoded(np.r_[SPEECH[:10], np.float32(np.nan), SPEECH[10:]], subtype="FLOAT")
BAD = {
    "text.wav": (b"This is a text, and no recording at all.\n" * 20, DecodeError),
    "random.mp3": (np.random.default_rng(1).bytes(4000), DecodeError),
    "picture.png": (b"\x89PNG\r\n\x1a\n" + b"\0" * 500, DecodeError),
    "archive.zip": (b"PK\x03\x04" + np.random.default_rng(2).bytes(500), DecodeError),
    "empty.wav": (b"", EmptyAudioError),
    "header-only.wav": (encoded(SPEECH)[:44], EmptyAudioError),
    "no-samples.flac": (encoded(np.zeros(0), "FLAC"), AudioError),
    "half-a-header.wav": (encoded(SPEECH)[:20], DecodeError),
    "half-a-header.flac": (encoded(SPEECH, "FLAC")[:30], DecodeError),
    "cut.m4a": (encoded_by_ffmpeg("ipod", "aac")[:1000], DecodeError),
    "nan.wav": (NAN, NonFiniteError),
    "infinite.wav": (encoded(np.array([0.0, np.inf, -np.inf]), subtype="DOUBLE"), NonFiniteError),
    "nan-in-one-channel.wav": (encoded(np.array([[0.0, np.nan]] * 9), subtype="FLOAT"), NonFiniteError),
    "huge.wav": (encoded(np.full((9, 2), 3e38), subtype="FLOAT"), AudioError),
    "beyond-float32.wav": (encoded(np.full(9, 1e300), subtype="DOUBLE"), NonFiniteError),
    "rate-0.wav": (patched(encoded(SPEECH), 24, bytes(4)), DecodeError),
    "rate-1.wav": (patched(encoded(SPEECH), 24, struct.pack("<I", 1)), AudioError),
    "channels-0.wav": (patched(encoded(SPEECH), 22, bytes(2)), DecodeError),
    "unknown-codec.wav": (patched(encoded(SPEECH), 20, b"\x99\x99"), DecodeError),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("sample_rate", [None, 22_050])
def test_an_unusable_file_raises_a_typed_error_that_names_it(tmp_path, name, sample_rate):
    payload, kind = BAD[name]
    path = tmp_path / name
    path.write_bytes(payload)
    with pytest.raises(kind) as from_file:
        audio.load(path, sample_rate)
    assert str(path) in str(from_file.value)
    assert "\n" not in str(from_file.value)
    with pytest.raises(kind, match=r"^audio bytes: "):
        audio.load(payload, sample_rate)
    again = pickle.loads(pickle.dumps(from_file.value))
    assert (type(again), str(again)) == (type(from_file.value), str(from_file.value))


def test_folders_and_missing_files_are_refused(tmp_path):
    with pytest.raises(DecodeError, match="is a folder"):
        audio.load(tmp_path)
    for name in ("missing.wav", "no/such/folder.wav", "http:", "x" * 300):
        with pytest.raises(DecodeError, match=name):
            audio.load(str(tmp_path / name))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root can read every file")
def test_a_file_without_read_permission_is_refused(tmp_path):
    put(tmp_path, "clip.wav", encoded(SPEECH))
    (tmp_path / "clip.wav").chmod(0)
    with pytest.raises(DecodeError, match="denied"):
        audio.load(tmp_path / "clip.wav")


def test_a_file_that_the_system_does_not_open_raises_a_typed_error(tmp_path, monkeypatch):
    put(tmp_path, "clip.wav", encoded(SPEECH))

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(DecodeError, match=r"clip\.wav: cannot be opened: Permission denied"):
        audio.load(tmp_path / "clip.wav")


@pytest.mark.parametrize(
    ("samples", "rate", "message"),
    [
        (SPEECH, 0, "sample rate of 0"),
        (SPEECH, -8000, "sample rate of -8000"),
        (SPEECH, 8000.5, r"sample rate of 8000\.5"),
        (SPEECH, float("nan"), "sample rate of nan"),
        (SPEECH, float("inf"), "sample rate of inf"),
        (SPEECH, "16000", "sample rate of '16000'"),
        (SPEECH, None, "sample rate of None"),
        (np.zeros((2, 2, 2)), RATE, "shape"),
        (np.float32(1), RATE, "shape"),
        (np.zeros((65, 65)), RATE, "65 channels"),
        ([[0.0, 0.1], [0.2]], RATE, "rows of different lengths"),
        (SPEECH > 0, RATE, "bool"),
        (SPEECH + 0j, RATE, "complex"),
        (np.array(["a"]), RATE, "type <U1"),
        (np.array([object()]), RATE, "object"),
        (np.zeros(0), RATE, "no samples"),
        (np.zeros((0, 2)), RATE, "no samples"),
        (np.zeros((5, 0)), RATE, "no channel"),
        (np.array([0.0, np.nan]), RATE, "NaN"),
        (np.array([np.inf, -np.inf]), RATE, "infinite"),
        (np.array([0.0, 1e300]), RATE, "infinite"),
        (np.array([0.0, -1e12]), RATE, r"from -1e\+12"),
    ],
)
def test_an_unusable_array_is_refused(samples, rate, message):
    with pytest.raises(AudioError, match=f"^audio array: .*{message}"):
        audio.load((samples, rate))


def test_whole_sample_rates_of_any_number_type_are_accepted():
    for rate in (RATE, float(RATE), np.int64(RATE), np.float32(RATE)):
        native = audio.load((SPEECH, rate))[1]
        assert (native, type(native)) == (RATE, int)


# Damaged recordings that are usable in part

LONG = np.random.default_rng(0).normal(0, 0.1, 10 * RATE).astype(np.float32)  # an Ogg page contains a second


@pytest.mark.parametrize(
    "payload",
    [
        encoded(LONG),
        encoded(LONG, "FLAC"),
        encoded(LONG, "MP3"),
        encoded(LONG, "OGG", "VORBIS"),
        encoded_by_ffmpeg("adts", "aac", LONG),
        encoded_by_ffmpeg("webm", "libopus", librosa.resample(LONG, orig_sr=RATE, target_sr=48_000), 48_000),
    ],
    ids=["wav", "flac", "mp3", "ogg", "aac", "webm"],
)
def test_a_truncated_recording_is_read_as_far_as_possible(payload):
    whole, rate = audio.load(payload)
    part, part_rate = audio.load(payload[: int(0.6 * len(payload))])
    assert part_rate == rate
    assert 0.1 * len(whole) < len(part) < len(whole)


def flac_with_length(n_samples: int) -> bytes:
    """Set the length in STREAMINFO: 36 bits after the marker (4 bytes), the block's header (4) and 13 bytes."""
    flac = encoded(SPEECH, "FLAC")
    return patched(flac, 21, bytes([flac[21] & 0xF0 | n_samples >> 32]) + struct.pack(">I", n_samples & 0xFFFFFFFF))


@pytest.mark.parametrize("n_samples", [0, 2**33, 2**36 - 1])
def test_a_flac_with_an_unknown_or_wrong_length_is_read(n_samples):
    # Every encoder that writes to a pipe leaves 0 there.
    np.testing.assert_allclose(audio.load(flac_with_length(n_samples))[0], SPEECH, atol=2**-15)


@pytest.mark.skipif(sys.platform != "linux", reason="the limit on a process's memory is Linux's")
def test_headers_that_declare_gigabytes_do_not_allocate_them(tmp_path):
    wav, rf64 = encoded(SPEECH), encoded(SPEECH, "RF64")
    ds64 = rf64.find(b"ds64") + 8
    payloads = {
        "4gb.wav": patched(patched(wav, 4, b"\xf8\xff\xff\xff"), 40, b"\xf0\xff\xff\xff"),
        "1tb.rf64": patched(rf64, ds64, struct.pack("<QQQ", 2**40, 2**40, 2**39)),
        "piped.wav": patched(patched(wav, 4, b"\xff" * 4), 40, b"\xff" * 4),
        "long.flac": flac_with_length(2**36 - 1),
        "medium.flac": flac_with_length(2**29),
    }
    for name, payload in payloads.items():
        put(tmp_path, name, payload)
    # In a subprocess, because the limit cannot be raised again in this one.
    script = (
        "import resource, sys; from emocatcher import audio; import av;"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize();"
        "resource.setrlimit(resource.RLIMIT_AS, (used + (400 << 20),) * 2);"
        "print(*(len(audio.load(path)[0]) for path in sys.argv[1:]))"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, *(str(tmp_path / name) for name in payloads)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert run.stdout.split() == [str(RATE)] * len(payloads), run.stderr


@pytest.mark.parametrize("kind", ["wav", "flac", "m4a"])
def test_damaged_bytes_are_read_or_raise_a_typed_error(kind):
    payload = {"wav": encoded(SPEECH), "flac": encoded(SPEECH, "FLAC"), "m4a": encoded_by_ffmpeg("ipod", "aac")}[kind]
    random = np.random.default_rng(7)
    outcomes = set()
    for _ in range(40):
        damaged = np.frombuffer(payload, np.uint8).copy()
        reach = random.choice([60, 400, len(damaged)])
        damaged[random.integers(0, reach, 4)] = random.integers(0, 256, 4)
        try:
            waveform, rate = audio.load(damaged.tobytes(), 22_050)
        except AudioError:
            outcomes.add("refused")
        else:
            assert np.isfinite(waveform).all()
            assert rate == 22_050
            outcomes.add("read")
    assert outcomes == {"refused", "read"}


def test_reads_a_wav_written_by_the_standard_library(tmp_path):
    with wave.open(str(tmp_path / "clip.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(44_100)
        file.writeframes(np.tile(np.array([16384, -8192], "<i2"), 441).tobytes())
    waveform, rate = audio.load(str(tmp_path / "clip.wav"))
    assert rate == 44_100
    np.testing.assert_array_equal(waveform, np.full(441, 0.125, np.float32))


def test_a_file_whose_name_is_not_text_is_read(tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.wav"))
    try:
        path.write_bytes(b"")
    except OSError:
        pytest.skip("this file system accepts only names that are text")
    soundfile.write(tmp_path / "plain.wav", np.linspace(-0.5, 0.5, 800), 8_000)
    path.write_bytes((tmp_path / "plain.wav").read_bytes())
    np.testing.assert_array_equal(audio.load(path)[0], audio.load(tmp_path / "plain.wav")[0])
    path.unlink()
    with pytest.raises(DecodeError, match="no such file"):
        audio.load(path)


def test_16_bit_scaling_equals_that_of_libsndfile(tmp_path):
    path = tmp_path / "every-value.wav"
    soundfile.write(path, np.arange(-32_768, 32_768, dtype=np.int16), 48_000)
    np.testing.assert_array_equal(audio.load(path)[0], soundfile.read(path, dtype="float32")[0])
