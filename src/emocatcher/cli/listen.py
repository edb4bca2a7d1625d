"""`emocatcher listen`."""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emocatcher.cli import options, settling_options

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.console import Group

    from emocatcher.recognition.timeline import Stream, Window

EXAMPLES = ("emocatcher listen", "emocatcher listen --list-devices", "emocatcher listen --device 2 --hop 0.25")

_BAR = 40  # characters
_CHUNK_S = 0.1
_MAX_QUEUED = 300  # chunks; a machine that is too slow drops the oldest instead of filling its memory
_LOWEST_DB = -60.0
_POLL_S = 0.5  # the longest delay before Ctrl-C takes effect


def listen(
    device: Annotated[str | None, typer.Option(help="The microphone: its number, or a part of its name.")] = None,
    model: options.Model = None,
    settled: settling_options.SettledFile = None,
    emotions: settling_options.Emotions = None,
    window: options.Window = 3.0,
    hop: options.Hop = 0.5,
    abstain_below: options.AbstainBelow = None,
    list_devices: Annotated[bool, typer.Option("--list-devices", help="List the microphones and exit.")] = False,
) -> None:
    """Recognise emotions live from the microphone. Stop with Ctrl-C."""
    from emocatcher.cli import screen

    sound = _sounddevice()
    if list_devices:
        rows = [(str(number), name, f"{rate} Hz") for number, name, rate in _microphones(sound)]
        screen.list_table(("number", "name", "rate"), rows)
        return
    rate = _rate(sound, device)
    from emocatcher.recognition.recognizer import load

    recognizer = settling_options.adjust(load(model), settled, emotions)
    stream = recognizer.stream(rate, window_s=window, hop_s=hop, abstain_below=abstain_below)
    with contextlib.suppress(KeyboardInterrupt), microphone(sound, device, rate) as chunks:
        show(chunks, stream, recognizer.config.labels)


def show(chunks: Iterable[NDArray[np.float32]], stream: Stream, labels: tuple[str, ...]) -> None:
    """Show the newest answer and the level, updated with each chunk, until the chunks end or Ctrl-C is pressed.

    Args:
        chunks: shape (n_samples, n_channels) or (n_samples,), in [-1, 1], at the stream's rate; empty ones are skipped.
        stream: recognises the chunks.
        labels: of the model.
    """
    import numpy as np
    from rich.live import Live

    from emocatcher.cli import screen

    target = screen.console()
    newest: Window | None = None
    level_db = _LOWEST_DB
    with Live(console=target, auto_refresh=False, transient=True) as live:
        try:
            for chunk in chunks:
                if not len(chunk):
                    continue
                power = float(np.square(chunk, dtype=np.float64).mean())
                level_db = max(10.0 * np.log10(max(power, 1e-12)), level_db - 3.0, _LOWEST_DB)
                if windows := stream.push(chunk):
                    newest = windows[-1]
                live.update(_picture(newest, level_db, labels, stream.duration_s), refresh=True)
        except KeyboardInterrupt:
            pass
    if windows := stream.finish():
        newest = windows[-1]
    target.print(_picture(newest, level_db, labels, stream.duration_s))


def _picture(window: Window | None, level_db: float, labels: tuple[str, ...], duration_s: float) -> Group:
    from rich.console import Group
    from rich.text import Text

    from emocatcher.cli import screen

    shades, width = screen.shades(labels), max(max(map(len, labels)), len("level"))
    if window is None:
        answer = Text("listening …", "dim")
    elif window.emotion is None or window.probability is None:
        answer = Text("no speech", "dim")
    else:
        style = "dim" if window.abstain else f"bold {shades[window.emotion]}"
        answer = Text(window.emotion + "?" * window.abstain, style) + Text(f" {window.probability:.0%}")
    loud = round((level_db - _LOWEST_DB) / -_LOWEST_DB * _BAR)
    lines = [
        Text(f"{duration_s:7.1f} s  ") + answer,
        Text(f"  {'level':<{width}} {level_db:3.0f} dB ") + Text("█" * min(loud, _BAR), "dim"),
    ]
    for label in labels:
        probability = window.probabilities.get(label, 0.0) if window is not None else 0.0
        bar = Text("█" * round(probability * _BAR), shades[label])
        lines.append(Text(f"  {label:<{width}} {probability:6.1%} ") + bar)
    return Group(*lines)


@contextlib.contextmanager
def microphone(sound: Any, device: str | None, rate: int) -> Iterator[Iterator[NDArray[np.float32]]]:
    """Open a microphone.

    Args:
        sound: the module sounddevice.
        device: number or part of a name; None for the system's default.
        rate: Hz.

    Yields:
        chunks of shape (n_samples, 1), float32, as they arrive; an empty one after 0.5 s without sound.

    Raises:
        AudioError: if the microphone cannot be opened.
    """
    import numpy as np

    queued: queue.Queue[NDArray[np.float32]] = queue.Queue(_MAX_QUEUED)

    def enqueue(samples: NDArray[np.float32], *_: object) -> None:
        # Runs in the sound card's thread, which reuses its array.
        if queued.full():
            with contextlib.suppress(queue.Empty):
                queued.get_nowait()
        with contextlib.suppress(queue.Full):
            queued.put_nowait(samples.copy())

    def chunks() -> Iterator[NDArray[np.float32]]:
        while True:
            try:
                yield queued.get(timeout=_POLL_S)
            except queue.Empty:
                yield np.empty((0, 1), np.float32)

    def open_stream() -> Any:
        return sound.InputStream(
            samplerate=rate,
            device=_as_number(device),
            channels=1,
            dtype="float32",
            blocksize=round(_CHUNK_S * rate),
            callback=enqueue,
        )

    with _query(sound, open_stream, device):
        yield chunks()


def _sounddevice() -> Any:
    from emocatcher.foundation.errors import AudioError, MissingExtraError

    try:
        import sounddevice
    except ImportError:
        raise MissingExtraError("The microphone", "mic") from None
    except OSError as error:
        reason = f"{error}. Install PortAudio: apt install libportaudio2, or brew install portaudio"
        raise AudioError("microphone", reason) from None
    return sounddevice


def _microphones(sound: Any) -> list[tuple[int, str, int]]:
    """List number, name and sample rate (Hz) of each microphone.

    Raises:
        AudioError: if there is no microphone.
    """
    from emocatcher.foundation.errors import AudioError

    found = [
        (number, str(device["name"]), round(device["default_samplerate"]))
        for number, device in enumerate(_query(sound, sound.query_devices, None))
        if device["max_input_channels"] > 0
    ]
    if not found:
        raise AudioError("microphone", "none was found. Connect one, or recognise a file: emocatcher timeline FILE")
    return found


def _rate(sound: Any, device: str | None) -> int:
    _microphones(sound)
    found = _query(sound, lambda: sound.query_devices(_as_number(device), "input"), device)
    return int(found["default_samplerate"])


def _as_number(device: str | None) -> str | int | None:
    return int(device) if device is not None and device.isdecimal() else device


def _query(sound: Any, query: Callable[[], Any], device: str | None) -> Any:
    """Call PortAudio; raise its errors as AudioError."""
    from emocatcher.foundation.errors import AudioError

    try:
        return query()
    except (sound.PortAudioError, ValueError) as error:
        name = "microphone" if device is None else f"microphone '{device}'"
        reason = " ".join(str(error).split())
        raise AudioError(
            name, f"cannot be used: {reason}. List the microphones: emocatcher listen --list-devices"
        ) from None
