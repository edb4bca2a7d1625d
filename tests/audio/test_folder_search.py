"""Folders are searched for every kind of recording that can be decoded."""

from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from emocatcher import audio
from emocatcher.audio import folder_search
from emocatcher.foundation.errors import DecodeError

# Names that mostly mean other things: raw samples, a digital output as it is, numbers, and sound of ALP (a game).
_OTHER_THINGS = {".pcm", ".tun", ".spdif", ".mat", ".raw"}


def _encode(path: Path, kind: str) -> bool:
    """Write a second of a tone with the codec that a container has by default; whether FFmpeg can."""
    for rate in (16_000, 48_000):
        tone = (10_000 * np.sin(2 * np.pi * 200 * np.arange(rate) / rate)).astype(np.int16)
        try:
            with av.open(str(path), "w", format=kind) as container:
                stream = container.add_stream(container.default_audio_codec, rate=rate)
                stream.layout = "mono"
                frame = av.AudioFrame.from_ndarray(tone[None], format="s16", layout="mono")
                frame.sample_rate, frame.pts = rate, 0
                resampler = av.AudioResampler(stream.format.name, "mono", rate, frame_size=stream.frame_size or 0)
                for one in (*resampler.resample(frame), *resampler.resample(None)):
                    container.mux(stream.encode(one))
                container.mux(stream.encode(None))
            return path.stat().st_size > 0
        except (av.FFmpegError, ValueError, OSError):
            continue  # no sound, no encoder, or another rate
    return False


def _is_decoded(path: Path) -> bool:
    try:
        waveform, rate = audio.load(path)
    except DecodeError:
        return False
    return len(waveform) > rate / 2


def test_every_name_of_a_recording_that_can_be_decoded_is_found_in_a_folder(tmp_path: Path) -> None:
    decoded = set()
    for kind in sorted(av.formats_available):
        try:
            names = av.ContainerFormat(kind, "w").extensions
        except ValueError:  # it can only be read
            continue
        path = tmp_path / f"{kind}.{min(names, default='')}"
        if names and _encode(path, kind) and _is_decoded(path):
            decoded |= {f".{name}" for name in names}
    for kind in soundfile.available_formats():
        rate = 8_000 if kind == "WVE" else 16_000
        for subtype in (soundfile.default_subtype(kind) or "PCM_16",):
            path = tmp_path / f"x.{kind.lower()}"
            soundfile.write(path, np.sin(np.arange(rate) / 9), rate, format=kind, subtype=subtype)
            decoded |= {path.suffix} if _is_decoded(path) else set()
    assert len(decoded) > 60
    decoded -= {".svx", ".mat4", ".mat5", ".mpc2k", ".wavex"}  # what libsndfile calls them; their names are others
    assert decoded - _OTHER_THINGS <= folder_search.SUFFIXES, sorted(decoded - _OTHER_THINGS - folder_search.SUFFIXES)


@pytest.mark.parametrize("name", ["a.weba", "A.WEBA", "a.sln", "a.3gp2", "a.omg", "a.tak", "a.shn"])
def test_recordings_of_browsers_telephones_and_recorders_are_found(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert folder_search.search(tmp_path).recordings == [str(tmp_path / name)]


@pytest.mark.parametrize("name", ["C:\\calls\\a.wav", "c:/calls/a.wav", "\\\\server\\calls\\a.wav"])
@pytest.mark.parametrize("folder", ["", "tables/"])
def test_a_path_of_windows_that_is_not_here_is_named_with_a_hint(name: str, folder: str) -> None:
    with pytest.raises(DecodeError, match=r"no such file\. .* is a path of Windows\. .* such as 'a\.wav'"):
        audio.load(folder + name)
    with pytest.raises(DecodeError, match=r"no such file$"):
        audio.load(f"{folder}calls/a.wav")
