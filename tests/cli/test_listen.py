"""`listen`, with a microphone that is not there."""

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
    """Says a recording, in blocks; then Ctrl-C is pressed."""

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


def fake(devices: list[dict[str, Any]]) -> SimpleNamespace:
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
def test_an_answer_below_the_threshold_is_doubtful(
    model: Path, speech: np.ndarray, capsys: pytest.CaptureFixture[str], threshold: float
) -> None:
    recognizer = load(model)
    last = recognizer.timeline((speech, RATE)).windows[-1]
    assert last.emotion is not None
    listen.show([speech], recognizer.stream(RATE, abstain_below=threshold), recognizer.config.labels)
    assert (f"{last.emotion}? " in capsys.readouterr().out) == (threshold == 1.0)


def test_ctrl_c_ends_it(model: Path, speech: np.ndarray, capsys: pytest.CaptureFixture[str]) -> None:
    def pressed() -> Iterator[np.ndarray]:
        yield speech
        raise KeyboardInterrupt

    recognizer = load(model)
    listen.show(pressed(), recognizer.stream(RATE), recognizer.config.labels)
    assert f"{len(speech) / RATE:.1f} s  " in capsys.readouterr().out


def test_nothing_was_heard_at_all(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recognizer = load(model)
    listen.show([], recognizer.stream(RATE), recognizer.config.labels)
    assert "listening" in capsys.readouterr().out


def test_from_the_microphone(call: Call, model: Path, speech: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    from emocatcher.recognition.timeline import Stream

    push, n_heard = Stream.push, 0

    def until_the_end(self: Stream, chunk: np.ndarray) -> Any:
        nonlocal n_heard
        windows = push(self, chunk)
        n_heard += len(chunk)
        if n_heard == len(speech):
            raise KeyboardInterrupt
        return windows

    monkeypatch.setitem(sys.modules, "sounddevice", fake([SPEAKER, MICROPHONE]))
    monkeypatch.setattr(InputStream, "sound", speech)
    monkeypatch.setattr(Stream, "push", until_the_end)
    said = call("listen", "--model", model, "--device", "1")
    assert (said.code, said.err) == (0, "")
    assert "level" in said.out


def test_devices(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", fake([SPEAKER, MICROPHONE]))
    said = call("listen", "--list-devices")
    assert said.code == 0
    assert said.out.splitlines()[-1].split() == ["1", "mic", "[usb]", "16000", "Hz"] or "mic [usb]" in said.out
    assert "loudspeaker" not in said.out


def test_no_such_device(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", fake([SPEAKER, MICROPHONE]))
    said = call("listen", "--device", "moon")
    assert said.code == 2
    assert "microphone 'moon': cannot be used" in said.err
    assert said.err.count("\n") == 1


@pytest.mark.parametrize("devices", [[], [SPEAKER]])
def test_no_microphone(call: Call, monkeypatch: pytest.MonkeyPatch, devices: list[Any]) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", fake(devices))
    for arguments in ([], ["--list-devices"]):
        said = call("listen", *arguments)
        assert said.code == 2
        assert "microphone: there is none" in said.err
        assert said.err.count("\n") == 1


def test_no_sounddevice(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    said = call("listen")
    assert said.code == 2
    assert "pip install 'emocatcher[mic]'" in said.err


def test_no_portaudio(call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')\n")
    monkeypatch.syspath_prepend(tmp_path)
    said = call("listen")
    assert said.code == 2
    assert "PortAudio library not found. Install PortAudio" in said.err
    assert said.err.count("\n") == 1


def test_a_slow_machine_loses_the_oldest_and_fills_no_memory() -> None:
    sound = fake([SPEAKER, MICROPHONE])
    sound.InputStream = InputStream
    samples = np.arange(1600 * 500, dtype=np.float32)
    InputStream.sound = samples
    with listen.microphone(sound, None, RATE) as chunks:
        first = next(chunks)
    assert first[0, 0] == 1600 * 200
    InputStream.sound = np.zeros(0, np.float32)
