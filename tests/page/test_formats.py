"""The page gives Python's prediction for every format, rate and number of channels that both can read."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from emocatcher import audio
from emocatcher.recognition.recognizer import Recognizer

from .conftest import Tab, odds_of_speech

pytestmark = pytest.mark.page
CLOSE = 1e-3
SUBTYPES = ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW")


@pytest.fixture(scope="module")
def unsure(voices_dir: Path, recognizer: Recognizer) -> Path:
    """A clip whose probabilities are far from 0 and 1, and so change with any change of the sound.

    The gate is sure that it is speech: in doubt, Python asks Silero VAD, and the page, which has none, guesses.
    """
    clips = [clip for clip in sorted(voices_dir.rglob("*.wav"))[::9] if odds_of_speech(clip) > 1.0]
    return min(clips[:16], key=lambda clip: recognizer.predict(clip).margin)


def compare(tab: Tab, recognizer: Recognizer, files: Iterator[Path]) -> dict[str, float]:
    """Return the largest difference of a probability for each file; compare the cautions about the band too."""
    differences = {}
    for path in files:
        tab.choose(path)
        tab.page.wait_for_function(
            "name => document.querySelector('.result').dataset.prediction?.includes(`\"${name}\"`) ||"
            " document.querySelector('.view:not([hidden]) .notice.is-shown')",
            arg=path.name,
        )
        assert not tab.page.is_visible(".view:not([hidden]) .notice.is-shown"), path.name
        found, expected = tab.prediction(), recognizer.predict(path)
        values = [abs(found["probabilities"][label] - p) for label, p in expected.probabilities.items()]
        differences[path.name] = max(values, default=0.0)
    return differences


def samples_at(clip: Path, rate: int, channels: int = 1) -> np.ndarray:
    waveform, _ = audio.load(clip, rate)
    levels = (1.0, 0.5)[:channels]
    return np.stack([waveform * level for level in levels], axis=1) * (0.6 / np.abs(waveform).max())


@pytest.mark.parametrize("rate", [8_000, 16_000, 47_999, 96_000])
def test_wav_of_any_width_and_number_of_channels(
    tab: Tab, unsure: Path, recognizer: Recognizer, tmp_path: Path, rate: int
) -> None:
    def files() -> Iterator[Path]:
        for i, subtype in enumerate(SUBTYPES):
            path = tmp_path / f"{subtype}.wav"
            soundfile.write(path, samples_at(unsure, rate, 1 + i % 2), rate, subtype=subtype)
            yield path

    differences = compare(tab, recognizer, files())
    assert max(differences.values()) < CLOSE, differences


def test_wav_with_any_header(tab: Tab, unsure: Path, recognizer: Recognizer, tmp_path: Path) -> None:
    """Extensible, big-endian and RF64 headers, other chunks of odd size, and sizes that a pipe left unknown."""
    samples, rate = samples_at(unsure, 44_100, 2), 44_100

    def files() -> Iterator[Path]:
        for name, options in {
            "extensible": {"format": "WAVEX", "subtype": "PCM_24"},
            "extensible-law": {"format": "WAVEX", "subtype": "ULAW"},
            "rf64": {"format": "RF64", "subtype": "PCM_16"},
            "big-endian": {"format": "WAV", "subtype": "PCM_16", "endian": "BIG"},
        }.items():
            path = tmp_path / f"{name}.wav"
            soundfile.write(path, samples, rate, **options)
            yield path
        path = tmp_path / "plain.wav"
        soundfile.write(path, samples[:, 0], rate, subtype="PCM_16")
        plain = path.read_bytes()
        at = plain.index(b"data")
        contents = {"odd": plain[:at] + b"LIST" + struct.pack("<I", 5) + b"hello\0" + plain[at:]}
        for size in (0, 0xFFFFFFFF):
            sized = bytearray(plain)
            struct.pack_into("<I", sized, 4, size)
            struct.pack_into("<I", sized, at + 4, size)
            contents[f"streamed-{size}"] = bytes(sized)
        for name, content in contents.items():
            path = tmp_path / f"{name}.wav"
            path.write_bytes(content)
            yield path

    differences = compare(tab, recognizer, files())
    assert max(differences.values()) < CLOSE, differences


def encode(path: Path, samples: np.ndarray, rate: int, codec: str) -> Path:
    """Encode with FFmpeg's libraries; the container follows from the name."""
    layout = "mono" if samples.shape[1] == 1 else "stereo"
    with av.open(str(path), "w", options={"strict": "experimental"}) as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        stream.codec_context.options = {"strict": "experimental"}
        resampler = av.AudioResampler(format=stream.codec_context.format, layout=layout, rate=rate, frame_size=960)
        planar = np.ascontiguousarray(samples.T, dtype=np.float32)
        frame = av.AudioFrame.from_ndarray(planar, format="fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return path


def remux(source: Path, path: Path) -> Path:
    """Copy the encoded sound into another container."""
    with av.open(str(source)) as given, av.open(str(path), "w") as container:
        stream = container.add_stream_from_template(given.streams.audio[0])
        for packet in given.demux(given.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = stream
                container.mux(packet)
    return path


@pytest.mark.parametrize("channels", [1, 2])
def test_compressed_files_are_decoded_at_their_own_rate(
    tab: Tab, unsure: Path, recognizer: Recognizer, tmp_path: Path, channels: int
) -> None:
    def files() -> Iterator[Path]:
        for name, codec, rates in (
            ("a.mp3", "libmp3lame", (8_000, 22_050, 44_100)),
            ("d.opus", "libopus", (48_000,)),
            ("e.webm", "libopus", (48_000,)),
            ("f.flac", "flac", (8_000, 96_000)),
            ("g.ogg", "flac", (16_000,)),
            ("h.mp4", "flac", (8_000,)),
        ):
            for rate in rates:
                yield encode(tmp_path / f"{rate}-{name}", samples_at(unsure, rate, channels), rate, codec)
        for rate in (16_000, 44_100):
            vorbis = tmp_path / f"{rate}-vorbis.ogg"
            soundfile.write(vorbis, samples_at(unsure, rate, channels), rate, format="OGG", subtype="VORBIS")
            yield vorbis
            yield remux(vorbis, tmp_path / f"{rate}-vorbis.webm")

    differences = compare(tab, recognizer, files())
    assert max(differences.values()) < CLOSE, differences
