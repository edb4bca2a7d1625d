"""Settle on a set of recordings without labels: what all their answers have in common is subtracted from each of them.

A room, a microphone, a language or a voice that the model was not trained on moves all answers in one direction. The
mean of the log-probabilities over some recordings shows it. But so do recordings that are all of one emotion, and few
recordings do by chance: the fewer there are and the less varied their answers, the less is subtracted. Of the rules in
`benchmarks/RESULTS.md` this one gains as much as any on varied sets; on one-sided ones of up to 25 it loses nothing on
average, though up to 4 points on a single corpus.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from emocatcher import audio
from emocatcher.audio.channels import Channels
from emocatcher.foundation import atomic_files
from emocatcher.foundation.errors import OutputError, SettingError
from emocatcher.foundation.labels import spelling
from emocatcher.models.model_folder import Label, ModelConfig, Name
from emocatcher.recognition.prediction import Failure, Prediction

FEWEST = 5  # recordings with speech
MOST = 200  # recordings that `sample` takes; more change little
HALF = 2  # recordings with which half of the mean is subtracted, if they are varied
_LARGEST = 1 << 20  # bytes of a file

_Shift = Annotated[float, msgspec.Meta(ge=-100, le=100)]


class Settled(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a model settled on; a file of a few hundred bytes, which contains nothing of the recordings but this."""

    format: Literal[1] = 1  # of the file; a later one is refused
    model: Name
    onnx_sha256: Annotated[str, msgspec.Meta(max_length=64)]
    labels: tuple[Label, ...]
    n_recordings: Annotated[int, msgspec.Meta(ge=1, le=10**9)]
    shift: tuple[_Shift, ...]  # one for each label, subtracted from the logarithm of its probability

    def __post_init__(self) -> None:
        if len(self.shift) != len(self.labels):
            raise ValueError(f"{len(self.labels)} labels, but {len(self.shift)} shifts")


class Model(Protocol):
    """What is needed of `emocatcher.Recognizer`."""

    @property
    def config(self) -> Any:
        """The model's config."""

    def predict_many(
        self, sources: Iterable[audio.Source], *, channels: Channels, workers: int
    ) -> Iterable[Prediction | Failure]:
        """Recognise many recordings."""


def settle(
    recognizer: Model,
    sources: Iterable[audio.Source],
    workers: int = 1,
    on_outcome: Callable[[Prediction | Failure], object] | None = None,
    channels: Channels = "mix",
) -> Settled:
    """Recognise some recordings, and settle on them by the answers.

    Args:
        recognizer: the model, with all its emotions, settled on nothing.
        sources: 25 or more recordings of one set: a room, a microphone, a language.
        workers: number of worker processes.
        on_outcome: called after each answer.
        channels: as for `Recognizer.predict_many`.

    Raises:
        SettingError: if fewer than five of the recordings have speech.
    """
    outcomes = []
    for outcome in recognizer.predict_many(sources, channels=channels, workers=workers):
        outcomes.append(outcome)
        if on_outcome is not None:
            on_outcome(outcome)
    return estimate(outcomes, recognizer.config)


def estimate(outcomes: Iterable[Prediction | Failure], config: ModelConfig) -> Settled:
    """Settle on recordings by the model's answers for them.

    Args:
        outcomes: the answers; failures and recordings without speech are skipped.
        config: the model's.

    Raises:
        SettingError: if fewer than five of the recordings have speech.
    """
    answers = [one for one in outcomes if isinstance(one, Prediction) and one.emotion is not None]
    if len(answers) < FEWEST:
        raise SettingError(
            f"{len(answers)} of the recordings have speech; to settle on them, {FEWEST} or more are needed, better 25. "
            "Add recordings of the same room and microphone"
        )
    probabilities = np.array([[one.probabilities[label] for label in config.labels] for one in answers])
    return Settled(
        model=config.name,
        onnx_sha256=config.sha256.get("model.onnx", ""),
        labels=config.labels,
        n_recordings=len(answers),
        shift=tuple(round(float(one), 6) for one in common_shift(probabilities)),
    )


def common_shift(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what is subtracted from the log-probabilities of answers, shape (n_classes,).

    Args:
        probabilities: shape (n_clips, n_classes), of the clips to settle on.
    """
    rows = np.log(np.maximum(probabilities, 1e-30))
    centred = rows - rows.mean(axis=1, keepdims=True)
    n = len(probabilities)
    return np.asarray(centred.mean(axis=0) * (n / (n + HALF)) * variety(probabilities))


def variety(probabilities: NDArray[np.float64]) -> float:
    """Return how varied answers are: the entropy of their mean, as a share of the largest possible one.

    Args:
        probabilities: shape (n_clips, n_classes), two classes or more.

    Examples:
        >>> variety(np.array([[1.0, 0.0], [0.0, 1.0]])), variety(np.array([[1.0, 0.0], [1.0, 0.0]]))
        (1.0, 0.0)
    """
    mean = probabilities.mean(axis=0)
    entropy = -float(np.sum(mean * np.log(np.maximum(mean, 1e-30))))
    return max(0.0, entropy / float(np.log(len(mean))))


def apply(probabilities: NDArray[np.float64], shift: Sequence[float]) -> NDArray[np.float64]:
    """Subtract a shift from log-probabilities, and normalise again.

    Args:
        probabilities: shape (n_clips, n_classes).
        shift: shape (n_classes,).

    Examples:
        >>> apply(np.array([[0.8, 0.2]]), [np.log(4.0), 0.0]).round(3).tolist()
        [[0.5, 0.5]]
    """
    weighed = probabilities * np.exp(-np.asarray(shift) + min(shift))
    return np.asarray(weighed / weighed.sum(axis=1, keepdims=True))


def sample(names: Sequence[str], most: int = MOST) -> list[str]:
    """Return at most so many names, at even distances.

    Examples:
        >>> sample(["a", "b", "c", "d", "e"], 2)
        ['a', 'e']
    """
    if len(names) <= most:
        return list(names)
    return [names[place] for place in np.linspace(0, len(names) - 1, most).astype(int).tolist()]


def write(settled: Settled, path: Path) -> None:
    """Write a file that `read` reads.

    Raises:
        OutputError: if it cannot be written.
    """
    try:
        atomic_files.write_bytes(path, msgspec.json.format(msgspec.json.encode(settled)) + b"\n")
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}. Give another --to") from error


def read(path: Path, config: ModelConfig) -> Settled:
    """Read what a model settled on.

    Args:
        path: from `write`.
        config: of the model that will use it, or of one that is restricted by `Recognizer.only`.

    Raises:
        SettingError: if it is not such a file, or is of another model.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST)
    except (OSError, ValueError) as error:
        raise _not_a_file(path, error) from None
    return decode(content, path, config)


def decode(content: bytes, name: str | Path, config: ModelConfig) -> Settled:
    """Decode the content of a file of `write`.

    Args:
        content: of the file.
        name: of the file, for messages.
        config: of the model that will use it.

    Raises:
        SettingError: if it is not such a file, or is of another model.
    """
    try:
        settled = msgspec.json.decode(content, type=Settled)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise _not_a_file(name, error) from None
    if set(config.labels) < set(settled.labels):  # of a recogniser that is restricted, which checks it again
        config = msgspec.structs.replace(config, labels=settled.labels)
    check(settled, config, name)
    return settled


def check(settled: Settled, config: ModelConfig, name: str | Path = "The profile") -> None:
    """Check that a model settled on this itself.

    Args:
        settled: what a model settled on.
        config: of the model that will use it.
        name: of its file, for the message.

    Raises:
        SettingError: if it is of another model.
    """
    if settled.onnx_sha256 != config.sha256.get("model.onnx", ""):
        raise SettingError(
            f"{name} is of the model '{settled.model}', and this is '{config.name}' with other weights. Settle again "
            "with this one"
        )
    if settled.labels != config.labels:
        raise SettingError(
            f"{name} is of the emotions {', '.join(settled.labels)}; {config.name} has {', '.join(config.labels)}. "
            "Settle again with all of them"
        )


def _not_a_file(name: str | Path, error: Exception) -> SettingError:
    return SettingError(f"{name} is not a file of `emocatcher settle`: {error}. Name another one")


def chosen(emotions: Sequence[str], config: ModelConfig) -> tuple[str, ...]:
    """Check the emotions that answers are restricted to, in any spelling; return them in the model's order.

    Raises:
        SettingError: if fewer than two are given, or one is not among the model's.
    """
    emotions = [spelling(emotion, config.labels) for emotion in emotions]
    if unknown := [emotion for emotion in emotions if emotion not in config.labels]:
        raise SettingError(
            f"'{unknown[0]}' is not among the emotions of {config.name}: {', '.join(config.labels)}. Correct it"
        )
    if len(set(emotions)) < 2:
        raise SettingError(f"{len(set(emotions))} emotion leaves nothing to decide. Name two or more")
    return tuple(label for label in config.labels if label in emotions)
