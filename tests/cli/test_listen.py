"""`listen`, with a fake microphone."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from emocatcher import audio
from emocatcher.cli import listen
from emocatcher.recognition.recognizer import load

Call = Callable[..., Any]
RATE = 16_000


class PortAudioError(Exception):
    pass


class InputStream:
    """Plays `sound` to the callback in blocks."""

    sound = np.zeros(0, np.float32)

    def __init__(self, samplerate: int, device: Any, channels: int, dtype: str, blocksize: int, callback: Any) -> None:
        assert (samplerate, channels, dtype) == (RATE, 1, "float32")
        self.callback, self.blocksize = callback, blocksize

    def __enter__(self) -> "InputStream":
        for start in range(0, len(self.sound), self.blocksize):
            self.callback(self.sound[start : start + self.blocksize, None], self.blocksize, None, None)
        return self

    def __exit__(self, *_: object) -> None:
        pass


def fake_sounddevice(devices: list[dict[str, Any]]) -> SimpleNamespace:
    def query_devices(device: Any = None, kind: str | None = None) -> Any:
        if kind is None:
            return devices
        if device not in {None, 1, "mic"}:
            raise ValueError(f"No input device matching {device!r}")
        return devices[1]

    return SimpleNamespace(query_devices=query_devices, PortAudioError=PortAudioError, InputStream=InputStream)


SPEAKER = {"name": "loudspeaker", "max_input_channels": 0, "default_samplerate": 48_000.0}
MICROPHONE = {"name": "mic [usb]", "max_input_channels": 2, "default_samplerate": float(RATE)}


@pytest.fixture(scope="module")
def model(small_run: Any) -> Path:
    folder: Path = small_run.folder / "fold_0" / "last"
    return folder


@pytest.fixture(scope="module")
def speech(small_run: Any) -> np.ndarray:
    clips = [audio.load(utterance.path, RATE)[0] for utterance in small_run.corpus.utterances[:4]]
    return np.concatenate(clips)


def in_chunks(samples: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(samples), 1600):
        yield samples[start : start + 1600, None]
        yield np.empty((0, 1), np.float32)


def test_it_shows_the_last_answer(model: Path, speech: np.ndarray, capsys: pytest.CaptureFixture[str]) -> None:
    recognizer = load(model)
    listen.show(in_chunks(speech), recognizer.stream(RATE), recognizer.config.labels)
    last = recognizer.timeline((speech, RATE)).windows[-1]
    out = capsys.readouterr().out
    assert f"{len(speech) / RATE:.1f} s  " in out
    assert last.emotion is None or f"{last.emotion} {last.probability:.0%}" in out
    for label, probability in last.probabilities.items():
        assert f"{label:<9} {probability:6.1%}" in out


@pytest.mark.parametrize("threshold", [0.0, 1.0])
def test_an_answer_below_the_threshold_is_marked_uncertain(
    model: Path, speech: np.ndarray, capsys: pytest.CaptureFixture[str], threshold: float
) -> None:
    recognizer = load(model)
    last = recognizer.timeline((speech, RATE)).windows[-1]
    assert last.emotion is not None
    listen.show([speech], recognizer.stream(RATE, abstain_below=threshold), recognizer.config.labels)
    assert (f"{last.emotion}? " in capsys.readouterr().out) == (threshold == 1.0)


def test_ctrl_c_stops_and_the_last_answer_stays(
    model: Path, speech: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    def chunks_then_ctrl_c() -> Iterator[np.ndarray]:
        yield speech
        raise KeyboardInterrupt

    recognizer = load(model)
    listen.show(chunks_then_ctrl_c(), recognizer.stream(RATE), recognizer.config.labels)
    assert f"{len(speech) / RATE:.1f} s  " in capsys.readouterr().out


def test_without_any_chunk_no_emotion_is_shown(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recognizer = load(model)
    listen.show([], recognizer.stream(RATE), recognizer.config.labels)
    assert "listening" in capsys.readouterr().out


def test_it_recognises_sound_from_the_microphone(
    call: Call, model: Path, speech: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    from emocatcher.recognition.timeline import Stream

    push, n_samples = Stream.push, 0

    def push_until_the_end(self: Stream, chunk: np.ndarray) -> Any:
        nonlocal n_samples
        windows = push(self, chunk)
        n_samples += len(chunk)
        if n_samples == len(speech):
            raise KeyboardInterrupt
        return windows

    monkeypatch.setitem(sys.modules, "sounddevice", fake_sounddevice([SPEAKER, MICROPHONE]))
    monkeypatch.setattr(InputStream, "sound", speech)
    monkeypatch.setattr(Stream, "push", push_until_the_end)
    outcome = call("listen", "--model", model, "--device", "1")
    assert (outcome.code, outcome.err) == (0, "")
    assert "level" in outcome.out


def test_list_devices_lists_microphones_only(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", fake_sounddevice([SPEAKER, MICROPHONE]))
    outcome = call("listen", "--list-devices")
    assert outcome.code == 0
    assert outcome.out.splitlines()[-1].split() == ["1", "mic", "[usb]", "16000", "Hz"] or "mic [usb]" in outcome.out
    assert "loudspeaker" not in outcome.out


def test_an_unknown_device_is_one_line(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", fake_sounddevice([SPEAKER, MICROPHONE]))
    outcome = call("listen", "--device", "moon")
    assert outcome.code == 2
    assert "microphone 'moon': cannot be used" in outcome.err
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize("devices", [[], [SPEAKER]])
def test_no_microphone_is_one_line(call: Call, monkeypatch: pytest.MonkeyPatch, devices: list[Any]) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", fake_sounddevice(devices))
    for arguments in ([], ["--list-devices"]):
        outcome = call("listen", *arguments)
        assert outcome.code == 2
        assert "microphone: none was found" in outcome.err
        assert outcome.err.count("\n") == 1


def test_missing_sounddevice_names_the_extra(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    outcome = call("listen")
    assert outcome.code == 2
    assert "[mic]'" in outcome.err


def test_missing_portaudio_is_one_line(call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')\n")
    monkeypatch.syspath_prepend(tmp_path)
    outcome = call("listen")
    assert outcome.code == 2
    assert "PortAudio library not found. Install PortAudio" in outcome.err
    assert outcome.err.count("\n") == 1


def test_the_microphone_queue_is_bounded_and_drops_the_oldest_chunks() -> None:
    sound = fake_sounddevice([SPEAKER, MICROPHONE])
    sound.InputStream = InputStream
    samples = np.arange(1600 * 500, dtype=np.float32)
    InputStream.sound = samples
    with listen.microphone(sound, None, RATE) as chunks:
        first = next(chunks)
    assert first[0, 0] == 1600 * 200
    InputStream.sound = np.zeros(0, np.float32)
