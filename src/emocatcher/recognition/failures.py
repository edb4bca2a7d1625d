"""Recognise many recordings: the error of one becomes a `Failure`, so that the others continue."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from numbers import Real
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from emocatcher import audio
from emocatcher.audio.sources import check_several, is_pipe, path_of
from emocatcher.foundation.errors import AudioError
from emocatcher.recognition import parallel
from emocatcher.recognition.prediction import Failure, Prediction

Outcome: TypeAlias = Prediction | Failure
Kind: TypeAlias = Literal["cell", "audio", "unreachable", "limit", "crash", "unexpected"]
Predict: TypeAlias = Callable[[audio.Source], tuple[Prediction, ...]]  # one, or one for each channel

_KINDS: dict[str, Kind] = {
    "EmptyCell": "cell",
    "TypeError": "cell",
    "UnreachableError": "unreachable",
    "TimeLimitExceeded": "limit",
    "MemoryError": "limit",
    "WorkerDied": "crash",
}


class _Ready(NamedTuple):
    """What came out of a source that cannot be sent to another process."""

    found: tuple[Outcome, ...]


def outcomes(
    predict: Predict, sources: Iterable[audio.Source], n_workers: int, *, ordered: bool
) -> Iterator[tuple[Outcome, ...]]:
    """Recognise many recordings: predictions, or one failure, for each source (see `parallel.ordered_map`)."""
    check_several(sources)
    return parallel.ordered_map(
        partial(attempt, predict),
        map(partial(_sendable, predict), sources),
        n_workers=n_workers,
        ordered=ordered,
        on_death=_worker_died,
    )


def _sendable(predict: Predict, source: audio.Source) -> audio.Source | _Ready:
    """Return a source that can be sent to another process, or the outcome: an open file or a pipe cannot be sent."""
    try:
        audio.check_source(source)
    except TypeError as error:
        return _Ready((Failure(path=path_of(source), error="TypeError", message=str(error)),))
    if isinstance(source, str | os.PathLike) and is_pipe(source):
        return _Ready(attempt(predict, source))
    if isinstance(source, tuple) and not (_are_numbers(source[0]) and isinstance(source[1], Real)):
        return _Ready(attempt(predict, source))
    return source


def _are_numbers(samples: object) -> bool:
    try:
        return np.asarray(samples).dtype != object
    except ValueError:  # rows of different lengths
        return False


def attempt(predict: Predict, source: audio.Source | _Ready) -> tuple[Outcome, ...]:
    """Recognise a recording; an earlier outcome stays as it is."""
    if isinstance(source, _Ready):
        return source.found
    try:
        return predict(source)
    except AudioError as error:
        return (Failure(path=path_of(source), error=type(error).__name__, message=error.reason),)
    except MemoryError:
        message = "there is not enough memory. Cut the recording"
        return (Failure(path=path_of(source), error="MemoryError", message=message),)


def _worker_died(source: audio.Source | _Ready) -> tuple[Outcome, ...]:
    """Return the outcome of a recording that ended its worker process."""
    return source.found if isinstance(source, _Ready) else (died(source),)


def died(source: audio.Source) -> Failure:
    """Return the outcome of a recording that ended its process."""
    message = "the worker process ended unexpectedly: it was killed, or the file crashed it. Check or convert the file"
    return Failure(path=path_of(source), error="WorkerDied", message=message)


def took_too_long(source: audio.Source, limit_s: float) -> Failure:
    """Return the outcome of a recording that took longer than a limit, seconds."""
    message = f"it took longer than {limit_s:g} s to recognise. Allow more time, or cut it into shorter recordings"
    return Failure(path=path_of(source), error="TimeLimitExceeded", message=message)


def kind_of(error: str) -> Kind:
    """Return the kind of a `Failure.error`: the cell holds no recording, the recording cannot be used, and so on.

    Examples:
        >>> kind_of("DecodeError"), kind_of("WorkerDied")
        ('audio', 'crash')
    """
    if error in _KINDS:
        return _KINDS[error]
    audio_errors: list[type] = [AudioError, *AudioError.__subclasses__()]
    return "audio" if error in [one.__name__ for one in audio_errors] else "unexpected"
