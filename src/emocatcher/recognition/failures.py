"""Turn the error of one of many recordings into a `Failure`, so that the others continue."""

from __future__ import annotations

import os
from collections.abc import Callable
from numbers import Real
from typing import TypeAlias

import numpy as np

from emocatcher import audio
from emocatcher.audio.sources import is_pipe
from emocatcher.foundation.errors import AudioError
from emocatcher.recognition.prediction import Failure, Prediction

Outcome: TypeAlias = Prediction | Failure
Predict: TypeAlias = Callable[[audio.Source], Prediction]


def sendable(predict: Predict, source: audio.Source) -> audio.Source | Outcome:
    """Return a source that can be sent to another process, or the outcome: an open file or a pipe cannot be sent."""
    try:
        audio.check_source(source)
    except TypeError as error:
        return Failure(path=path_of(source), error="TypeError", message=str(error))
    if isinstance(source, str | os.PathLike) and is_pipe(source):
        return attempt(predict, source)
    if isinstance(source, tuple) and not (_are_numbers(source[0]) and isinstance(source[1], Real)):
        return attempt(predict, source)
    return source


def _are_numbers(samples: object) -> bool:
    try:
        return np.asarray(samples).dtype != object
    except ValueError:  # rows of different lengths
        return False


def attempt(predict: Predict, source: audio.Source | Outcome) -> Outcome:
    """Recognise a recording; an earlier outcome stays as it is."""
    if isinstance(source, Prediction | Failure):
        return source
    try:
        return predict(source)
    except AudioError as error:
        return Failure(path=path_of(source), error=type(error).__name__, message=error.reason)
    except MemoryError:
        return Failure(
            path=path_of(source), error="MemoryError", message="there is not enough memory. Cut the recording"
        )


def worker_died(source: audio.Source | Outcome) -> Outcome:
    """Return the outcome of a recording that ended its worker process."""
    if isinstance(source, Prediction | Failure):
        return source
    message = "the worker process ended unexpectedly: it was killed, or the file crashed it. Check or convert the file"
    return Failure(path=path_of(source), error="WorkerDied", message=message)


def path_of(source: audio.Source) -> str:
    """Return the path of a source as given; "" for bytes and arrays."""
    return os.fsdecode(source) if isinstance(source, str | os.PathLike) else ""
