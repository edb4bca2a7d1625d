"""`emocatcher listen`."""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.console import Group

    from emocatcher.recognition.timeline import Stream, Window

EXAMPLES = ("emocatcher listen", "emocatcher listen --list-devices", "emocatcher listen --device 2 --hop 0.25")

_BAR = 40  # characters
_CHUNK_S = 0.1
_MOST_WAITING = 300  # chunks; where the machine is too slow, the oldest are lost rather than memory filled
_LOWEST_DB = -60.0
_A_MOMENT_S = 0.5  # Ctrl-C is answered at least this often


def listen(
    device: Annotated[str | None, typer.Option(help="Number or part of the name of a microphone.")] = None,
    model: Annotated[
        str | None,
        typer.Option(help="A model folder, or a name on the hub; by default the model that comes with emocatcher."),
    ] = None,
    window: Annotated[float, typer.Option(metavar="SECONDS", help="How much is heard at a time.")] = 3.0,
    hop: Annotated[float, typer.Option(metavar="SECONDS", help="From one answer to the next.")] = 0.5,
    abstain_below: Annotated[
        float | None,
        typer.Option(metavar="P", help="Mark answers below this probability, 0 to 1; by default the model's own."),
    ] = None,
    list_devices: Annotated[bool, typer.Option("--list-devices", help="Print the microphones and leave.")] = False,
) -> None:
    """Recognise emotions live, from the microphone. Ctrl-C ends."""
    from emocatcher.cli import screen

    sound = _sounddevice()
    if list_devices:
        rows = [(str(number), name, f"{rate} Hz") for number, name, rate in _microphones(sound)]
        screen.list_table(("number", "name", "rate"), rows)
        return
    rate = _rate(sound, device)
    from emocatcher.recognition.recognizer import load

    recognizer = load(model)
    stream = recognizer.stream(rate, window_s=window, hop_s=hop, abstain_below=abstain_below)
    with contextlib.suppress(KeyboardInterrupt), microphone(sound, device, rate) as chunks:
        show(chunks, stream, recognizer.config.labels)


def show(chunks: Iterable[NDArray[np.float32]], stream: Stream, labels: tuple[str, ...]) -> None:
    """Draw what is heard, chunk by chunk, until they end or Ctrl-C.

    Args:
        chunks: shape (n_samples, n_channels) or (n_samples,), in [-1, 1], at the stream's rate; an empty one passes
            the time.
        stream: which listens.
        labels: the model's.
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

    from emocatcher.foundation.labels import colours

    shades, width = colours(labels), max(max(map(len, labels)), len("level"))
    if window is None:
        word = Text("listening …", "dim")
    elif window.emotion is None or window.probability is None:
        word = Text("no speech", "dim")
    else:
        style = "dim" if window.abstain else f"bold {shades[window.emotion]}"
        word = Text(window.emotion + "?" * window.abstain, style) + Text(f" {window.probability:.0%}")
    loud = round((level_db - _LOWEST_DB) / -_LOWEST_DB * _BAR)
    lines = [
        Text(f"{duration_s:7.1f} s  ") + word,
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
        device: number or part of a name; None for the system's own choice.
        rate: Hz.

    Yields:
        chunks of shape (n_samples, 1), float32, as they come; an empty one where none came for a moment.

    Raises:
        AudioError: if it cannot be opened.
    """
    import numpy as np

    waiting: queue.Queue[NDArray[np.float32]] = queue.Queue(_MOST_WAITING)

    def take(samples: NDArray[np.float32], *_: object) -> None:
        # In the sound card's own thread, whose array is used again.
        if waiting.full():
            with contextlib.suppress(queue.Empty):
                waiting.get_nowait()
        with contextlib.suppress(queue.Full):
            waiting.put_nowait(samples.copy())

    def chunks() -> Iterator[NDArray[np.float32]]:
        while True:
            try:
                yield waiting.get(timeout=_A_MOMENT_S)
            except queue.Empty:
                yield np.empty((0, 1), np.float32)

    def opened() -> Any:
        return sound.InputStream(
            samplerate=rate,
            device=_as_number(device),
            channels=1,
            dtype="float32",
            blocksize=round(_CHUNK_S * rate),
            callback=take,
        )

    with _asked(sound, opened, device):
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
    """Number, name and rate of each.

    Raises:
        AudioError: if there is none.
    """
    from emocatcher.foundation.errors import AudioError

    found = [
        (number, str(device["name"]), round(device["default_samplerate"]))
        for number, device in enumerate(_answer(sound, sound.query_devices, None))
        if device["max_input_channels"] > 0
    ]
    if not found:
        raise AudioError("microphone", "there is none. Plug one in, or recognise a file: emocatcher timeline FILE")
    return found


def _rate(sound: Any, device: str | None) -> int:
    _microphones(sound)
    asked = _answer(sound, lambda: sound.query_devices(_as_number(device), "input"), device)
    return int(asked["default_samplerate"])


def _as_number(device: str | None) -> str | int | None:
    return int(device) if device is not None and device.isdecimal() else device


def _answer(sound: Any, ask: Callable[[], Any], device: str | None) -> Any:
    from emocatcher.foundation.errors import AudioError

    try:
        return ask()
    except (sound.PortAudioError, ValueError) as error:
        name = "microphone" if device is None else f"microphone '{device}'"
        reason = " ".join(str(error).split())
        raise AudioError(name, f"cannot be used: {reason}. `emocatcher listen --list-devices` names all") from None


@contextlib.contextmanager
def _asked(sound: Any, opened: Callable[[], Any], device: str | None) -> Iterator[None]:
    stream = _answer(sound, opened, device)
    with stream:
        yield
