"""Decoding block by block, and the properties of a recording: truncation, clipping, native sample rate."""

import io

import av
import numpy as np
import pytest
import soundfile

from emocatcher import audio
from emocatcher.corpora import synthetic
from emocatcher.foundation.errors import AudioError, DecodeError, EmptyAudioError, NonFiniteError

RATE = 48_000


def voice_like(seconds, rate=RATE, seed=0):
    random = np.random.default_rng(seed)
    time_s = np.arange(round(seconds * rate)) / rate
    return (0.3 * np.sin(2 * np.pi * 180 * time_s) * np.sin(3 * time_s) + random.normal(0, 0.02, len(time_s))).astype(
        np.float32
    )


def encoded(waveform, container, codec, rate=RATE):
    sink = io.BytesIO()
    with av.open(sink, "w", format=container) as out:
        stream = out.add_stream(codec, rate=rate)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(waveform[None], format="flt", layout="mono")
        frame.sample_rate = rate
        for packet in (*stream.encode(frame), *stream.encode(None)):
            out.mux(packet)
    return sink.getvalue()


def stored(waveform, kind, subtype=None, rate=RATE):
    sink = io.BytesIO()
    soundfile.write(sink, waveform, rate, format=kind, subtype=subtype)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("source_rate", "target_rate"), [(48_000, 22_050), (8_000, 22_050), (22_050, 22_050), (44_100, 16_000)]
)
@pytest.mark.parametrize("sizes", [(1, 7, 4_000), (12_345,), (100,)])
def test_resampling_in_blocks_equals_resampling_at_once(source_rate, target_rate, sizes):
    waveform = voice_like(1.3, source_rate)
    resampler, parts, start, n_blocks = audio.Resampler(source_rate, target_rate), [], 0, 0
    while start < len(waveform):
        size = sizes[n_blocks % len(sizes)]
        parts.append(resampler.push(waveform[start : start + size]))
        start, n_blocks = start + size, n_blocks + 1
    parts.append(resampler.finish())
    whole = audio.resample(waveform, source_rate, target_rate)
    assert len(np.concatenate(parts)) == len(whole)
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-6)


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg", "m4a", "array", "stereo"])
@pytest.mark.parametrize("block_s", [0.05, 0.7, 100.0])
@pytest.mark.parametrize("sample_rate", [None, 22_050])
def test_joined_blocks_equal_the_whole_recording(kind, block_s, sample_rate):
    waveform = voice_like(2.0)
    source = {
        "wav": lambda: stored(waveform, "WAV", "PCM_24"),
        "flac": lambda: stored(waveform, "FLAC"),
        "ogg": lambda: stored(waveform, "OGG"),
        "m4a": lambda: encoded(waveform, "ipod", "aac"),
        "array": lambda: (waveform, RATE),
        "stereo": lambda: stored(np.stack([waveform, 0.5 * waveform], axis=1), "WAV"),
    }[kind]()
    whole, rate = audio.load(source, sample_rate)
    parts = list(audio.blocks(source, sample_rate, block_s=block_s))
    assert rate == (sample_rate or RATE)
    assert all(len(part) for part in parts)
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-6)
    assert kind == "array" or block_s > 2 or len(parts) > 1


@pytest.mark.parametrize(
    ("kind", "subtype"), [("WAV", "PCM_16"), ("AIFF", "PCM_16"), ("FLAC", "PCM_16"), ("MP3", None)]
)
def test_half_a_file_is_read_and_reported_as_truncated(kind, subtype):
    waveform = voice_like(3.0)
    whole = stored(waveform, kind, subtype)
    assert not audio.read(whole).truncated
    half = audio.read(whole[: len(whole) // 2])
    assert half.truncated
    assert 0.8 < len(half.waveform) / RATE < 2.2
    reference = audio.load(whole)[0][: len(half.waveform)]
    # The last frames of a lossy format depend on data that is missing.
    np.testing.assert_allclose(half.waveform[: RATE // 2], reference[: RATE // 2], atol=1e-3)
    assert len(np.concatenate(list(audio.blocks(whole[: len(whole) // 2], block_s=0.3)))) == len(half.waveform)


def test_a_stream_with_a_placeholder_length_is_not_truncated():
    payload = bytearray(stored(voice_like(0.5), "WAV", "PCM_16"))
    payload[4:8] = payload[40:44] = b"\xff\xff\xff\xff"
    recording = audio.read(bytes(payload))
    assert not recording.truncated
    assert len(recording.waveform) == RATE // 2


def test_flat_tops_count_as_clipping_but_a_single_full_scale_sample_does_not():
    waveform = voice_like(1.0)
    assert not audio.read((waveform, RATE)).clipped
    touching = waveform.copy()
    touching[1000] = 1.0
    assert not audio.read((touching, RATE)).clipped
    clipped = audio.read(stored(np.clip(4 * waveform, -0.8, 0.8), "WAV", "PCM_16"))
    assert clipped.clipped
    assert clipped.peak == pytest.approx(0.8, abs=1e-4)
    assert not audio.read((np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE), RATE)).clipped
    assert not audio.read((np.zeros(RATE), RATE)).clipped


@pytest.mark.parametrize("hz", [(440,), (1000,), (697, 1209)], ids=str)
def test_tones_with_pauses_are_not_clipped(hz):
    time_s = np.arange(3 * RATE) / RATE
    beeps = sum(np.sin(2 * np.pi * one * time_s) for one in hz) * (np.sin(6 * time_s) > 0)
    assert not audio.read(stored(0.2 * beeps, "WAV", "PCM_16")).clipped


def test_a_loud_slow_wave_is_not_clipped():
    hum = 0.55 * np.sin(2 * np.pi * 50 * np.arange(4 * 48_000) / 48_000)
    assert not audio.read(stored(hum, "WAV", "PCM_16", rate=48_000)).clipped


@pytest.mark.parametrize("container", ["mp3", None], ids=["MP3", "turned down"])
def test_strong_clipping_is_found_behind_a_codec_and_at_a_low_level(tmp_path, container):
    synthetic.generate(tmp_path, n_voices=1)
    waveform = audio.load(max(tmp_path.rglob("03-01-05-02-*.wav")), RATE)[0]
    hot = np.clip(10 * waveform / np.abs(waveform).max(), -0.9, 0.9).astype(np.float32)
    assert not audio.read((waveform, RATE)).clipped
    if container is None:
        noise = np.random.default_rng(0).normal(0, 1e-4, len(hot)).astype(np.float32)
        assert audio.read((0.2 * hot + noise, RATE)).clipped
    else:
        assert audio.read(encoded(hot, container, "libmp3lame")).clipped


def test_a_recording_reports_its_native_rate():
    recording = audio.read((voice_like(0.5, 8_000), 8_000), 22_050)
    assert (recording.sample_rate, recording.native_rate) == (22_050, 8_000)
    assert len(recording.waveform) == 11_025


def test_a_recording_longer_than_allowed_is_refused():
    payload = stored(np.zeros(RATE * 5, np.int16), "WAV", "PCM_16")
    assert len(audio.read(payload, longest_s=5.0).waveform) == 5 * RATE
    with pytest.raises(AudioError, match=r"longer than 4.9 s.*timeline"):
        audio.read(payload, longest_s=4.9)


@pytest.mark.parametrize(
    ("source", "error"),
    [
        (b"", EmptyAudioError),
        (b"only text, no audio data", DecodeError),
        (stored(np.zeros(0), "WAV"), EmptyAudioError),
        ((np.array([0.0, np.nan]), 8_000), NonFiniteError),
        ((np.zeros(9), 10), AudioError),
    ],
)
def test_blocks_refuse_what_load_refuses(source, error):
    with pytest.raises(error):
        list(audio.blocks(source))
    with pytest.raises(error):
        audio.read(source)
    with pytest.raises(error):
        audio.load(source)


def test_nan_in_a_later_section_is_refused():
    waveform = np.zeros(RATE * 32, np.float32)
    waveform[-1] = np.nan
    stream = audio.blocks(stored(waveform, "WAV", "FLOAT"), block_s=1.0)
    assert len(next(stream)) == RATE
    with pytest.raises(NonFiniteError):
        list(stream)
